"""The tokenizer on every code point and 100,000 random Unicode strings,
against the tokenizers package."""

import os
import subprocess
import sys
import unicodedata

import pytest

from conftest import BUILD, ROOT


def test_random_unicode_strings(tmp_path):
  if unicodedata.unidata_version > "15.0.0":
    pytest.skip("this Python's Unicode tables are newer than the tokenizer's")
  cache = os.environ.get("ATTUNE_CACHE_DIR",
                         os.path.expanduser("~/.cache/attune"))
  vectors = tmp_path / "vectors.jsonl"
  with open(vectors, "w") as sink:
    subprocess.run(
        [sys.executable, ROOT / "tests/golden/generate_tokens.py",
         f"{cache}/vocabulary/bpe_simple_vocab_16e6.txt.gz", "--count",
         "100000"], check=True, stdout=sink)
  assert sum(1 for _ in open(vectors)) > 100000
  done = subprocess.run(
      [BUILD / "tests/test_common_text", "--gtest_filter=*RandomUnicodeStrings*"],
      env={**os.environ, "ATTUNE_TOKEN_VECTORS": str(vectors)},
      capture_output=True, text=True)
  assert done.returncode == 0, done.stdout[-4000:]
  assert "SKIPPED" not in done.stdout, done.stdout[-2000:]
  assert "1 test from" in done.stdout, done.stdout[-2000:]
