"""The committed golden files are what their programs make."""

import subprocess
import sys

from conftest import ROOT


def test_golden_files_are_up_to_date():
  done = subprocess.run(
      [sys.executable, ROOT / "tests/golden/generate.py", "--check"],
      capture_output=True, text=True)
  assert done.returncode == 0, done.stdout + done.stderr
