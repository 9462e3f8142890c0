"""The server is killed inside CreateJob: the retry gives one job."""

import grpc
import pytest

from conftest import SHORT, wait_until

POINTS = ["create_job.checked", "create_job.inserted", "create_job.recorded",
          "create_job.committed", "create_job.announced"]


@pytest.mark.parametrize("point", POINTS)
def test_a_retry_makes_one_job(faults, point, monkeypatch):
  faults.server.terminate()
  with monkeypatch.context() as environment:
    environment.setenv("ATTUNE_FAILPOINT", point)
    faults.start_server(*SHORT)
  request = faults.request()
  with pytest.raises(grpc.RpcError):
    faults.jobs().CreateJob(request, timeout=30)
  wait_until(lambda: not faults.server.running(), "the server's death")
  faults.start_server(*SHORT)
  first = faults.jobs().CreateJob(request, timeout=30, wait_for_ready=True)
  second = faults.jobs().CreateJob(request, timeout=30)
  for job in (first, second):
    faults.acknowledge("CreateJob", request.request_id, job.id)
  assert first.id == second.id
  listed = faults.json("job", "list")
  assert [job["id"] for job in listed["jobs"]] == [first.id]
