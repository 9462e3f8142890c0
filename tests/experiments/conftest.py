"""The experiments of tests/run.sh --experiments, and their short form.

ATTUNE_EXPERIMENTS=full runs them as they are reported; without it a small base
is trained for a minute and only what it can show is asked.
"""

import importlib.util
import os
import pathlib
import sys

import pytest

HERE = pathlib.Path(__file__).resolve().parent
INTEGRATION = HERE.parent / "integration"
sys.path[:0] = [str(HERE), str(INTEGRATION)]
_spec = importlib.util.spec_from_file_location("attune_service",
                                               INTEGRATION / "conftest.py")
_service = importlib.util.module_from_spec(_spec)
sys.modules["attune_service"] = _service
_spec.loader.exec_module(_service)

import lab as laboratory  # noqa: E402
import study as studies  # noqa: E402

# Where the full form writes what it has found.
OUTPUT = HERE.parents[1] / "build/experiments"
FULL = os.environ.get("ATTUNE_EXPERIMENTS") == "full"


@pytest.fixture(scope="session")
def full():
  return FULL


@pytest.fixture(scope="session")
def lab(tmp_path_factory):
  folder = tmp_path_factory.mktemp("lab")
  if FULL:
    made = laboratory.Lab(folder, laboratory.default_cache(), laboratory.FULL)
  else:
    # Nothing of another run counts.
    made = laboratory.Lab(folder, folder / "kept", laboratory.SHORT)
  try:
    yield made
  finally:
    made.close()


@pytest.fixture(scope="session")
def study(lab):
  made = studies.Study(lab, OUTPUT)
  yield made
  if FULL:
    made.write()


def pytest_collection_modifyitems(items):
  for item in items:
    if item.get_closest_marker("full") and not FULL:
      item.add_marker(pytest.mark.skip(
          reason="of the full form: tests/run.sh --experiments"))


def pytest_configure(config):
  config.addinivalue_line("markers", "full: not in the short form")
