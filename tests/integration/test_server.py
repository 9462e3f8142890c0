"""attune-server as a process: start, stop, its folder, its metrics."""

import json
import shutil
import socket
import subprocess
import urllib.parse
import urllib.request

import pytest

import pictures
from conftest import BINARIES, Process, wait_until


def test_sigterm_ends_it_with_0_and_what_it_acknowledged_is_there_again(
    bare_server):
  bare_server.make_tiny_model("base")
  assert bare_server.server.terminate() == 0
  bare_server.start_server()
  models = bare_server.run("model", "list")
  assert "base" in models


def test_sigkill_loses_nothing_acknowledged(bare_server, tmp_path):
  bare_server.make_tiny_model("base")
  examples = pictures.write_examples(tmp_path / "pictures")
  bare_server.run("dataset", "create", "pairs")
  bare_server.run("dataset", "upload", "pairs", examples)
  bare_server.server.kill()
  bare_server.start_server()
  shown = bare_server.json("dataset", "show", "pairs")
  assert shown["example_count"] == "40"
  assert "base" in bare_server.run("model", "list")


def test_a_second_server_on_the_same_folder_names_the_holder(bare_server,
                                                             tmp_path):
  second = subprocess.run(
      [BINARIES / "attune-server", "--data-dir", tmp_path / "data", "--listen",
       "127.0.0.1:0", "--metrics", "127.0.0.1:0"],
      capture_output=True, text=True, timeout=60)
  assert second.returncode == 1
  assert str(bare_server.server.popen.pid) in second.stderr


def test_an_unreachable_server_gives_exit_code_4(bare_server):
  bare_server.server.kill()
  bare_server.run("model", "list", code=4)


def test_without_a_worker_a_waiting_thing_says_so(bare_server, tmp_path):
  bare_server.make_tiny_model("base")
  examples = pictures.write_examples(tmp_path / "pictures")
  bare_server.run("dataset", "create", "pairs")
  bare_server.run("dataset", "upload", "pairs", examples, "--seal",
                  "--no-wait")
  shown = bare_server.json("dataset", "show", "pairs")
  assert shown["state"] == "DATASET_STATE_VALIDATING"
  assert "no worker" in shown["status_message"]


def test_prometheus_scrapes_the_metrics(attune, tmp_path):
  prometheus = shutil.which("prometheus")
  if prometheus is None:
    pytest.skip("Debian's package prometheus is not installed")
  attune.make_tiny_model("base")
  with socket.socket() as probe:
    probe.bind(("127.0.0.1", 0))
    port = probe.getsockname()[1]
  config = tmp_path / "prometheus.yml"
  config.write_text(f"""
global: {{scrape_interval: 1s}}
scrape_configs:
  - job_name: attune
    static_configs: [{{targets: ["{attune.metrics}"]}}]
""")
  scraper = Process([prometheus, f"--config.file={config}",
                     f"--storage.tsdb.path={tmp_path / 'tsdb'}",
                     f"--web.listen-address=127.0.0.1:{port}"],
                    tmp_path / "prometheus.log")

  def query(expression):
    url = f"http://127.0.0.1:{port}/api/v1/query?query=" + (
        urllib.parse.quote(expression))
    try:
      with urllib.request.urlopen(url, timeout=5) as answer:
        return json.load(answer)["data"]["result"]
    except OSError:
      return []

  try:
    wait_until(lambda: query("attune_build_info"), "the first scrape")
    assert query('up{job="attune"}')[0]["value"][1] == "1"
    imports = wait_until(
        lambda: query('attune_rpc_requests_total{method="ImportModel",'
                      'code="OK"}'), "the import's count")
    assert imports[0]["value"][1] == "1"
    workers = wait_until(lambda: query("sum(attune_workers) > 0"),
                         "the worker's count")
    assert workers[0]["value"][1] == "1"
  finally:
    scraper.kill()


def test_metric_names_are_the_documented_ones(attune, tmp_path):
  examples = pictures.write_examples(tmp_path / "pictures")
  attune.make_tiny_model("base")
  attune.run("dataset", "create", "pairs")
  attune.run("dataset", "upload", "pairs", examples, "--seal")
  attune.run("job", "submit", "--dataset", "pairs", "--model", "base",
             "--kl-weight", "0", "--steps", "3", "--batch-size", "8",
             "--output-model", "robust", "--watch")
  attune.run("classify", tmp_path / "pictures/p0.png", "--model", "robust",
             "--labels", "dog,cat")
  with urllib.request.urlopen(f"http://{attune.metrics}/metrics") as answer:
    text = answer.read().decode()
  names = {line.split()[2] for line in text.splitlines()
           if line.startswith("# TYPE attune_")}
  assert names >= {
      "attune_rpc_requests_total", "attune_rpc_duration_seconds",
      "attune_jobs", "attune_job_transitions_total",
      "attune_task_queue_seconds", "attune_workers",
      "attune_lease_expirations_total", "attune_train_steps_total",
      "attune_train_examples_total", "attune_train_loss",
      "attune_train_pair_accuracy", "attune_inference_batch_size",
      "attune_inference_queue_seconds", "attune_inference_forward_seconds",
      "attune_inference_queue_depth", "attune_inference_rejected_total",
      "attune_text_cache_lookups_total", "attune_model_loaded_info",
      "attune_sqlite_transaction_seconds", "attune_sqlite_wal_bytes",
      "attune_blob_bytes", "attune_disk_free_bytes",
      "attune_disk_reserve_held", "attune_build_info",
  }
  assert 'attune_train_steps_total 3' in text
