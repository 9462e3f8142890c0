"""Pictures to attacks, to a sweep, to a report that a browser shows."""

import csv
import io
import json
import shutil
import subprocess

import pytest

import pictures


def make_photos(folder):
  """A folder a class, the pictures of a class alike."""
  for number, word in enumerate(pictures.CLASSES):
    (folder / word).mkdir(parents=True)
    for index in range(4):
      (folder / word / f"{index}.png").write_bytes(
          pictures.blob(100 * number + index % 2, side=120))


def show_in_chromium(page, folder):
  """Renders a page without network; returns (PNG bytes, console lines)."""
  chromium = shutil.which("chromium") or shutil.which("chromium-browser")
  if chromium is None:
    pytest.skip("chromium is not installed")
  shot = folder / "shot.png"
  done = subprocess.run([
      chromium, "--headless", "--no-sandbox", "--disable-gpu",
      "--disable-dev-shm-usage", "--no-first-run", "--enable-logging=stderr",
      "--host-resolver-rules=MAP * ~NOTFOUND",
      f"--user-data-dir={folder / 'profile'}", "--window-size=1200,3000",
      f"--screenshot={shot}", page.as_uri()
  ], capture_output=True, text=True, timeout=120)
  assert done.returncode == 0, done.stderr
  console = [line for line in done.stderr.splitlines() if ":CONSOLE" in line]
  return shot.read_bytes(), console


def test_attacks_are_trained_on_swept_and_reported(attune, tmp_path):
  make_photos(tmp_path / "photos")
  attune.run("dataset", "attack", tmp_path / "photos", tmp_path / "pairs",
             "--side", "112", "--preview", tmp_path / "sheet.png")
  attune.run("dataset", "attack", tmp_path / "photos", tmp_path / "test",
             "--side", "112", "--labelled", "--seed", "1")
  for name, folder in (("typo", "pairs"), ("typo-test", "test")):
    attune.run("dataset", "create", name, "--candidates",
               tmp_path / folder / "candidates.txt")
    attune.run("dataset", "upload", name,
               tmp_path / folder / "examples.jsonl", "--seal")
  attune.make_tiny_model("base")

  table = attune.run("job", "sweep", "--dataset", "typo", "--eval-dataset",
                     "typo-test", "--model", "base", "--output-model", "robust",
                     "--kl-weight", "0", "--learning-rate", "1e-5,2e-3",
                     "--batch-size", "8", "--epochs", "20", "--csv")
  rows = list(csv.DictReader(io.StringIO(table)))
  assert [row["version"] for row in rows] == ["base:1", "robust-1:1",
                                              "robust-2:1"]
  assert [row["learning-rate"] for row in rows] == ["", "1e-5", "2e-3"]
  # The larger rate learns more of its 16 pairs.
  robust = [float(row["attacked_top1"]) for row in rows]
  assert robust[2] > robust[0]

  page = tmp_path / "report.html"
  attune.run("report", rows[2]["job_id"], "-o", page)
  html = page.read_text()
  assert "robust-2:1 on typo-test" in html
  assert "Right only after" in html
  evaluation = json.loads(
      attune.run("--output", "json", "evaluate", "--dataset", "typo-test",
                 "--model", "robust-2:1", "--against", "base:1"))
  shown = {f["name"]: f["value"] for f in evaluation["figures"]}
  assert f">{100 * shown['attacked_top1']:.1f} %<" in html

  picture, console = show_in_chromium(page, tmp_path)
  assert console == []
  assert picture.startswith(b"\x89PNG") and len(picture) > 20_000

  # That a page which asks for something would have been noticed.
  bad = tmp_path / "bad.html"
  bad.write_text(html.replace("</main>", "<img src='http://a.test/b'></main>"))
  _, console = show_in_chromium(bad, tmp_path)
  assert len(console) == 1 and "http://a.test/b" in console[0]


def test_a_report_of_no_job_writes_nothing(bare_server, tmp_path):
  bare_server.run("report", "job-000000000000", "-o", tmp_path / "r.html",
                  code=1)
  assert "NOT_FOUND" in bare_server.errors
  assert not (tmp_path / "r.html").exists()
