"""A worker that dies in the middle of a job loses nothing but time."""

import json
import os
import signal

import pictures
from conftest import wait_until


def submit(attune, tmp_path, *extra):
  attune.make_tiny_model("base")
  examples = pictures.write_examples(tmp_path / "pictures")
  attune.run("dataset", "create", "pairs")
  attune.run("dataset", "upload", "pairs", examples, "--seal")
  return attune.json("job", "submit", "--dataset", "pairs", "--model", "base",
                     "--kl-weight", "0", "--batch-size", "8",
                     "--learning-rate", "1e-4", "--output-model", "robust",
                     *extra)["id"]


def kill_group(worker):
  """SIGKILL for the worker; its training child dies with it."""
  os.killpg(worker.popen.pid, signal.SIGKILL)
  worker.popen.wait(10)


def test_a_killed_worker_resumes_from_its_last_checkpoint(attune, tmp_path):
  job = submit(attune, tmp_path, "--steps", "400", "--checkpoint-every", "20")

  def second_checkpoint():
    stored = attune.json("job", "checkpoints", job).get("checkpoints", [])
    return any(int(checkpoint["step"]) >= 40 for checkpoint in stored)
  wait_until(second_checkpoint, "a checkpoint at step 40 or later")
  kill_group(attune.workers[0])
  attune.start_worker()
  attune.run("job", "watch", job)
  shown = attune.json("job", "show", job)
  assert shown["state"] == "JOB_STATE_SUCCEEDED"
  assert shown["attempt"] == 2

  lines = attune.run("job", "metrics", job, "--csv").splitlines()
  header = lines[0].split(",")
  rows = [dict(zip(header, line.split(","))) for line in lines[1:]]
  assert [int(row["step"]) for row in rows] == list(range(1, 401))
  attempts = [int(row["attempt"]) for row in rows]
  assert attempts == sorted(attempts)
  # It went on from a checkpoint, not from the start.
  assert attempts.count(1) >= 40 and attempts.count(1) % 20 == 0


def test_a_cancelled_job_ends_and_the_worker_takes_the_next(attune, tmp_path):
  job = submit(attune, tmp_path, "--steps", "100000")
  wait_until(lambda: int(attune.json("job", "show", job)["step"]) > 3,
             "the first steps")
  attune.run("job", "cancel", job)
  attune.run("job", "watch", job, code=3)
  assert attune.json("job", "show", job)["state"] == "JOB_STATE_CANCELLED"
  attune.run("job", "cancel", job)  # again is fine
  attune.run("job", "submit", "--dataset", "pairs", "--model", "base",
             "--kl-weight", "0", "--steps", "2", "--batch-size", "8",
             "--output-model", "next", "--watch")


def test_a_worker_that_is_told_to_stop_hands_its_job_back(attune, tmp_path):
  job = submit(attune, tmp_path, "--steps", "2000", "--checkpoint-every", "500")
  wait_until(lambda: int(attune.json("job", "show", job)["step"]) > 20,
             "the first steps")
  assert attune.workers[0].terminate(70) == 0
  shown = attune.json("job", "show", job)
  assert shown["state"] == "JOB_STATE_QUEUED"
  assert shown["failure_count"] == 0
  attune.start_worker()
  attune.run("job", "cancel", job)
