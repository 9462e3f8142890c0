"""attune-server backup and restore, beside a running server."""

import sqlite3
import subprocess

import pictures
from conftest import BINARIES


def server_command(*arguments):
  return subprocess.run([BINARIES / "attune-server", *map(str, arguments)],
                        capture_output=True, text=True, timeout=300)


def test_a_backup_of_a_running_server_restores_to_the_same_data(bare_server,
                                                                tmp_path):
  model = bare_server.make_tiny_model("base")
  examples = pictures.write_examples(tmp_path / "pictures")
  bare_server.run("dataset", "create", "pairs")
  bare_server.run("dataset", "upload", "pairs", examples)
  before = bare_server.json("dataset", "show", "pairs")

  copy = tmp_path / "backup"
  done = server_command("backup", "--data-dir", tmp_path / "data", copy)
  assert done.returncode == 0, done.stderr
  assert "all verified" in done.stdout
  # What comes after it is not in it.
  bare_server.run("dataset", "delete", "pairs")
  assert bare_server.server.terminate() == 0
  (tmp_path / "data").rename(tmp_path / "lost")

  done = server_command("restore", copy, "--data-dir", tmp_path / "data")
  assert done.returncode == 0, done.stderr
  bare_server.start_server("--check", "full")
  assert bare_server.json("dataset", "show", "pairs") == before
  out = tmp_path / "out.safetensors"
  bare_server.run("model", "export", "base", "--out", out)
  assert out.stat().st_size == model.stat().st_size


def test_a_damaged_backup_is_refused_and_nothing_is_left(bare_server, tmp_path):
  bare_server.make_tiny_model("base")
  copy = tmp_path / "backup"
  assert server_command("backup", "--data-dir", tmp_path / "data",
                        copy).returncode == 0
  with sqlite3.connect(copy / "blobs.db") as database:
    database.execute("DELETE FROM chunks WHERE id IN "
                     "(SELECT id FROM chunks LIMIT 1)")
  database.close()
  target = tmp_path / "restored"
  done = server_command("restore", copy, "--data-dir", target)
  assert done.returncode == 1
  assert "missing or damaged" in done.stderr
  assert list(target.iterdir()) == []


def test_folders_that_are_in_use_are_refused(bare_server, tmp_path):
  bare_server.make_tiny_model("base")
  copy = tmp_path / "backup"
  assert server_command("backup", "--data-dir", tmp_path / "data",
                        copy).returncode == 0
  for arguments in (("backup", "--data-dir", tmp_path / "data", copy),
                    ("restore", copy, "--data-dir", tmp_path / "data")):
    done = server_command(*arguments)
    assert done.returncode == 1
    assert "is not empty" in done.stderr


def test_a_server_does_not_start_on_half_a_copy(tmp_path):
  data = tmp_path / "data"
  data.mkdir()
  (data / "INCOMPLETE").write_text("")
  done = server_command("--data-dir", data, "--listen", "127.0.0.1:0")
  assert done.returncode == 1
  assert "was cut off" in done.stderr


def test_without_a_data_folder_it_says_which_flag_is_missing():
  done = server_command()
  assert done.returncode == 2
  assert "--data-dir" in done.stderr + done.stdout
