"""The invariant checker finds what it is for: each damage is made by hand."""

import sqlite3

import pytest

import invariants
from conftest import Faults


@pytest.fixture(scope="module")
def data(tmp_path_factory):
  """The data folder of a job that has succeeded, the server stopped."""
  faults = Faults(tmp_path_factory.mktemp("whole"))
  try:
    faults.start_server()
    faults.prepare()
    faults.start_trainer()
    job = faults.create(steps=12, every=4)
    faults.wait_for(job, "SUCCEEDED")
    faults.stop_and_check()
  finally:
    faults.stop()
  return faults.folder / "data", job


def damaged(data, tmp_path, database, *statements, log=()):
  for name in ("state.db", "blobs.db"):
    source = sqlite3.connect(data / name)
    target = sqlite3.connect(tmp_path / name)
    source.backup(target)
    source.close()
    if name == database:
      for statement in statements:
        target.execute(statement)
    target.commit()
    target.close()
  return invariants.check(tmp_path, log)


@pytest.mark.parametrize("database, statement, finding", [
    ("state.db", "DELETE FROM metrics WHERE step = 5", "11 rows of 12 steps"),
    ("state.db", "UPDATE metrics SET attempt = 9 WHERE step = 5",
     "attempts that it has not had"),
    ("state.db", "INSERT INTO events SELECT job, number + 1, time, attempt,"
     " 'Cancelled' FROM events WHERE message LIKE 'Succeeded%'",
     "goes on after its end"),
    ("state.db", "UPDATE events SET message = 'Attempt 2 begins on worker w'"
     " WHERE message LIKE 'Attempt 1 begins%'", "attempt 2 after 0"),
    ("state.db", "UPDATE jobs SET attempt = attempt + 1", "has begun"),
    ("state.db", "UPDATE jobs SET state = 2", "in state 2 with worker ''"),
    ("state.db", "UPDATE tensors SET size_bytes = size_bytes + 1",
     "has another size"),
    ("state.db", "DELETE FROM examples WHERE id = 3", "counts"),
    ("state.db", "UPDATE images SET use_count = 2 WHERE id = 1",
     "do not use so"),
    ("state.db", "PRAGMA foreign_keys = OFF", None),
    ("state.db", "DELETE FROM manifests WHERE id = 1", "foreign_key_check"),
    ("blobs.db", "DELETE FROM blobs WHERE id = (SELECT max(id) FROM blobs)",
     "is lost"),
    ("blobs.db", "UPDATE chunks SET bytes = zeroblob(length(bytes))"
     " WHERE id = (SELECT max(id) FROM chunks)", "is damaged"),
])
def test_a_damage_is_found(data, tmp_path, database, statement, finding):
  violations = damaged(data[0], tmp_path, database, statement)
  if finding is None:
    assert not violations
  else:
    assert any(finding in violation for violation in violations), violations


def test_a_job_that_was_acknowledged_and_is_gone_is_found(data, tmp_path):
  log = [{"call": "CreateJob", "request_id": "r1", "id": data[1]},
         {"call": "CreateJob", "request_id": "r2", "id": "job-gone"}]
  assert damaged(data[0], tmp_path, "", log=log) == [
      "the acknowledged job job-gone is lost"]


def test_a_request_with_two_effects_is_found(data, tmp_path):
  log = [{"call": "CreateJob", "request_id": "r1", "id": data[1]},
         {"call": "CreateJob", "request_id": "r1", "id": "job-other"}]
  violations = damaged(data[0], tmp_path, "", log=log)
  assert any("request r1 made" in violation for violation in violations)
