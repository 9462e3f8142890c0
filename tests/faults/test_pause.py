"""Pausing, resuming, cancelling and retrying real jobs changes no bit."""

import pytest

from test_process_faults import run_whole


def test_a_paused_job_goes_on_with_the_same_bits(faults):
  spec = {"steps": 200, "every": 5}
  worker = faults.start_trainer()
  whole = run_whole(faults, "whole", **spec)
  job = faults.create(**spec)
  faults.wait_for_step(job, 20)
  assert "PAUS" in faults.run("job", "pause", job)
  faults.wait_for(job, "PAUSED")
  assert faults.show(job).failure_count == 0
  at = int(faults.json("job", "show", job)["step"])
  assert 20 <= at < 200
  faults.run("job", "resume", job)
  faults.wait_for(job, "SUCCEEDED")
  assert faults.show(job).attempt == 2
  assert faults.outcome(job) == whole
  told = faults.run("job", "events", job)
  for what in ("Asked to pause", "Paused", "Resumed and queued"):
    assert what in told
  assert worker.running()


def test_a_cancelled_job_is_retried_from_its_checkpoint(faults):
  spec = {"steps": 200, "every": 5}
  faults.start_trainer()
  whole = run_whole(faults, "whole", **spec)
  job = faults.create(**spec)
  faults.wait_for_step(job, 40)
  faults.run("job", "cancel", job)
  faults.wait_for(job, "CANCELLED")
  retried = faults.run("job", "retry", job).strip()
  faults.acknowledge("RetryJob", retried, retried)
  faults.wait_for(retried, "SUCCEEDED")
  shown = faults.json("job", "show", retried)
  assert shown["retry_of"] == job
  assert faults.outcome(retried) == whole
  first = faults.events(retried)[0][1]
  assert f"retry of {job}, from step " in first
  assert int(first.rsplit(" ", 1)[1]) >= 30
