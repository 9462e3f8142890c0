"""What must hold of a data folder after any fault.

  python invariants.py DATA_DIR [--log FILE]

reads the two databases (the server may run), their blobs and, where there is
one, the log of a client (a line for each answer: {"call", "request_id", "id"}),
and prints every violation.
"""

import argparse
import collections
import hashlib
import json
import pathlib
import re
import sqlite3
import sys

# Numbers of storage::JobState.
LEASED = (2, 4, 6)
SUCCEEDED, FAILED, CANCELLED = 7, 8, 9
TERMINAL = (SUCCEEDED, FAILED, CANCELLED)
TRAIN = 1
# Numbers of storage::ExampleKind.
KINDS = (1, 2, 3, 4)

BEGIN = re.compile(r"Attempt (\d+) begins on worker (\S+)$")
END = re.compile(r"(Attempt \d+ failed: |Handed back|Paused|Cancelled|Succeeded)")


def ends_the_job(message):
  """Whether an event is one of a terminal state."""
  return (message.startswith(("Succeeded", "Cancelled")) or
          message.endswith("; it was the last attempt allowed") or
          message.endswith("; trying again would not help"))


def open_database(path):
  return sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=30)


class Checker:
  """Collects violations, each a sentence."""

  def __init__(self, data_dir, log=()):
    self.state = open_database(pathlib.Path(data_dir) / "state.db")
    self.blobs = open_database(pathlib.Path(data_dir) / "blobs.db")
    self.log = list(log)
    self.violations = []

  def expect(self, condition, text):
    if not condition:
      self.violations.append(text)

  def run(self):
    # One snapshot of the rows; the blobs that they name came before.
    self.state.execute("BEGIN")
    self.check_databases()
    self.check_acknowledged()
    for job in self.state.execute(
        "SELECT sequence, id, kind, state, attempt, worker_id,"
        " lease_token_hash, total_steps FROM jobs"):
      self.check_job(*job)
    self.check_holders()
    self.check_datasets()
    self.check_blobs()
    self.state.close()
    self.blobs.close()
    return self.violations

  def check_databases(self):
    for name, database in (("state.db", self.state), ("blobs.db", self.blobs)):
      found = [row[0] for row in database.execute("PRAGMA integrity_check")]
      self.expect(found == ["ok"], f"{name}: integrity_check: {found[:3]}")
      broken = database.execute("PRAGMA foreign_key_check").fetchall()
      self.expect(not broken, f"{name}: foreign_key_check: {broken[:3]}")

  def check_acknowledged(self):
    jobs = {row[0] for row in self.state.execute("SELECT id FROM jobs")}
    answers = collections.defaultdict(set)
    for entry in self.log:
      if entry["call"] in ("CreateJob", "RetryJob"):
        self.expect(entry["id"] in jobs,
                    f"the acknowledged job {entry['id']} is lost")
        answers[entry["request_id"]].add(entry["id"])
    for request, ids in answers.items():
      self.expect(len(ids) == 1, f"request {request} made {sorted(ids)}")
    made = collections.Counter()
    for request, result in self.state.execute(
        "SELECT id, result FROM requests"):
      if result.startswith("job-"):
        made[result] += 1
        self.expect(result in jobs, f"request {request} names no job")

  def check_job(self, sequence, job, kind, state, attempt, worker, token,
                total_steps):
    self.expect((state in LEASED) == bool(worker),
                f"{job} is in state {state} with worker '{worker}'")
    self.expect(bool(token) == (state in LEASED or state == SUCCEEDED),
                f"{job} is in state {state} and has a token: {bool(token)}")
    self.check_events(sequence, job, state, attempt)
    steps = self.state.execute(
        "SELECT step, attempt FROM metrics WHERE job = ? ORDER BY step",
        (sequence,)).fetchall()
    self.expect(all(row[1] <= attempt for row in steps),
                f"{job} has rows of attempts that it has not had")
    numbers = [row[0] for row in steps]
    self.expect(len(set(numbers)) == len(numbers), f"{job} has a step twice")
    if kind == TRAIN and state == SUCCEEDED:
      self.expect(numbers == list(range(1, total_steps + 1)),
                  f"{job} has {len(numbers)} rows of {total_steps} steps")
      attempts = [row[1] for row in steps]
      self.expect(attempts == sorted(attempts),
                  f"{job} has rows of an old attempt after those of a new one")

  def check_events(self, sequence, job, state, attempt):
    events = self.state.execute(
        "SELECT number, attempt, message FROM events WHERE job = ?"
        " ORDER BY number", (sequence,)).fetchall()
    self.expect([row[0] for row in events] == list(range(1, len(events) + 1)),
                f"{job} lacks an event")
    begun, running, ended = 0, False, 0
    for _, of_attempt, message in events:
      self.expect(not ended, f"{job} goes on after its end: {message}")
      begin = BEGIN.match(message)
      if begin:
        self.expect(not running, f"{job} has two attempts at a time")
        self.expect(int(begin[1]) == begun + 1,
                    f"{job} has attempt {begin[1]} after {begun}")
        begun, running = int(begin[1]), True
      elif END.match(message):
        self.expect(of_attempt == begun,
                    f"{job}: attempt {of_attempt} ended instead of {begun}")
        running = False
      if ends_the_job(message):
        ended += 1
        self.expect(of_attempt == attempt,
                    f"{job} was ended by attempt {of_attempt} of {attempt}")
    self.expect(begun == attempt, f"{job} has begun {begun} of {attempt}")
    self.expect(running == (state in LEASED),
                f"{job} is in state {state}, its attempt runs: {running}")
    self.expect(ended == (state in TERMINAL),
                f"{job} is in state {state} with {ended} ends")

  def check_holders(self):
    for worker, count in self.state.execute(
        "SELECT worker_id, count(*) FROM jobs WHERE worker_id <> ''"
        " GROUP BY worker_id HAVING count(*) > 1"):
      self.violations.append(f"{worker} holds {count} leases")

  def check_datasets(self):
    """Every row of an upload once, or none; the counts are those of the rows."""
    for (dataset, name, *counts) in self.state.execute(
        "SELECT id, name, pair_count, clean_count, labelled_count,"
        " caption_count FROM datasets"):
      rows = dict(self.state.execute(
          "SELECT kind, count(*) FROM examples WHERE dataset = ?"
          " GROUP BY kind", (dataset,)))
      self.expect(counts == [rows.get(kind, 0) for kind in KINDS],
                  f"dataset {name} counts {counts} and has {rows}")
      used = collections.Counter()
      for image, twin in self.state.execute(
          "SELECT image, clean_image FROM examples WHERE dataset = ?",
          (dataset,)):
        used.update([image] if twin is None else [image, twin])
      stored = dict(self.state.execute(
          "SELECT id, use_count FROM images WHERE dataset = ?", (dataset,)))
      self.expect(stored == dict(used),
                  f"dataset {name} has pictures that its rows do not use so")

  def check_blobs(self):
    named = {}
    for digest, size in self.state.execute(
        "SELECT DISTINCT blob_digest, size_bytes FROM tensors UNION"
        " SELECT DISTINCT digest, size_bytes FROM images"):
      named[digest] = size
    for digest, size in named.items():
      row = self.blobs.execute(
          "SELECT id, size_bytes FROM blobs WHERE digest = ?",
          (digest,)).fetchone()
      if row is None:
        self.violations.append(f"the blob {digest} is lost")
        continue
      sha = hashlib.sha256()
      for (piece,) in self.blobs.execute(
          "SELECT bytes FROM chunks WHERE id >= ? AND id < ? ORDER BY id",
          (row[0] << 20, (row[0] + 1) << 20)):
        sha.update(piece)
      self.expect(sha.hexdigest() == digest, f"the blob {digest} is damaged")
      self.expect(row[1] == size, f"the blob {digest} has another size")


def check(data_dir, log=()):
  """The violations, none when all is well."""
  return Checker(data_dir, log).run()


def main():
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument("data_dir")
  parser.add_argument("--log")
  flags = parser.parse_args()
  log = []
  if flags.log:
    log = [json.loads(line) for line in open(flags.log, encoding="utf-8")]
  violations = check(flags.data_dir, log)
  for violation in violations:
    print(violation)
  sys.exit(1 if violations else 0)


if __name__ == "__main__":
  main()
