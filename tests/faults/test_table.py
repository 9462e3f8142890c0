"""The faults of docs/reliability.md have the tests that its table names."""

import functools
import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
HERE = pathlib.Path(__file__).parent


def rows():
  text = (ROOT / "docs/reliability.md").read_text()
  table = text.split("| fault | test |\n|---|---|\n", 1)[1].split("\n\n", 1)[0]
  return [line.strip("| ").split(" | ", 1) for line in table.splitlines()]


@functools.cache
def cases():
  """Every case of GoogleTest, as Suite.Case."""
  found = set()
  for path in (ROOT / "tests").rglob("*_test.cc"):
    for suite, case in re.findall(r"^TEST(?:_F|_P)?\((\w+),\s*(\w+)\)",
                                  path.read_text(), re.M):
      found.add(f"{suite}.{case}")
  return found


def exists(test):
  if "::" in test:
    file, name = test.split("::")
    return f"\ndef {name}(" in (HERE / file).read_text()
  return (HERE / test).exists() if test.endswith(".py") else test in cases()


@pytest.mark.parametrize("fault, tests", rows())
def test_a_fault_has_its_tests(fault, tests):
  names = re.findall(r"`([^`]+)`", tests)
  assert names, fault
  assert [name for name in names if not exists(name)] == []


def test_every_file_of_faults_is_built():
  files = {path.stem[len("test_"):] for path in HERE.glob("test_*.py")}
  built = (HERE / "CMakeLists.txt").read_text()
  listed = re.search(r"foreach\(name ([^)]*)\)", built)[1].split()
  assert sorted(listed) == sorted(files)
