"""What the experiments do with the real binaries, through the public API.

A Lab is a server with two workers of one thread each, so that two jobs run at
a time on two cores. Pictures come from draw_scenes, the demo's. What takes long
is kept in a cache folder: pre-trained bases as safetensors files, and what
jobs were measured to do as JSON, both under a name that depends on everything
that made them, the binaries included.
"""

import concurrent.futures
import dataclasses
import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import threading
import time
import uuid

from attune_service import Attune, BINARIES
from attune.v1 import inference_service_pb2 as inference_pb
from attune.v1 import inference_service_pb2_grpc as inference_rpc
from attune.v1 import job_service_pb2 as jobs_pb
from attune.v1 import job_service_pb2_grpc as jobs_rpc

CLASSES = ("ball", "box", "star", "cross", "ring", "heart", "moon", "arrow",
           "house", "tree", "fish", "boat")
SEEN = 8  # of the classes: those that the alignment's pairs show


def prompt(name):
  return f"a photo of a {name}"


@dataclasses.dataclass(frozen=True)
class Sizes:
  """How much is drawn and trained."""
  plain_steps: int
  steps: int  # of pre-training, the plain ones included
  captions: int
  pairs: int
  epochs: int
  tests: int  # pictures in each part of a test


FULL = Sizes(plain_steps=600, steps=2000, captions=24000, pairs=3072, epochs=4,
             tests=500)
SHORT = Sizes(plain_steps=500, steps=500, captions=16000, pairs=1024, epochs=3,
              tests=200)


class Lab:

  def __init__(self, folder, cache, sizes):
    self.folder = pathlib.Path(folder)
    self.cache = pathlib.Path(cache)
    self.sizes = sizes
    self.cache.mkdir(parents=True, exist_ok=True)
    self._pool = concurrent.futures.ThreadPoolExecutor(16)
    self._once = {}
    self._lock = threading.Lock()
    self._build = digest_of_files(
        [BINARIES / name for name in ("attune-worker", "attune-convert",
                                      "draw_scenes")])
    self.service = Attune(self.folder)
    self.service.start_server()
    for _ in range(2):
      self.service.start_worker("--threads", "1")
    self._channel = self.service.channel()
    self.jobs = jobs_rpc.JobServiceStub(self._channel)
    self.inference = inference_rpc.InferenceServiceStub(self._channel)

  def close(self):
    self._pool.shutdown(cancel_futures=True)
    self._channel.close()
    self.service.stop()

  def start(self, function, *arguments, **named):
    """Runs it beside the others; a Future."""
    return self._pool.submit(function, *arguments, **named)

  def once(self, key, make):
    """make() of the first call with this key; the others wait for it."""
    with self._lock:
      mine = key not in self._once
      if mine:
        self._once[key] = concurrent.futures.Future()
      future = self._once[key]
    if mine:
      try:
        future.set_result(make())
      except BaseException as error:
        future.set_exception(error)
        raise
    return future.result()

  def remembered(self, kind, recipe, make):
    """make(), a value for JSON, of this build and recipe; kept on the disk."""
    key = digest([self._build, kind, recipe])
    path = self.cache / f"{kind}-{key}.json"
    if path.exists():
      return json.loads(path.read_text())
    value = make()
    partial = path.with_suffix(f".{uuid.uuid4().hex}")
    partial.write_text(json.dumps(value))
    partial.rename(path)
    return json.loads(json.dumps(value))

  # ---- datasets

  def dataset(self, name, parts, candidates=None):
    """Draws, uploads and seals: parts are (kind, count, seed, set), `set` an
    attribute of the part's rows or None. Once for each name."""
    return self.once(("dataset", name),
                     lambda: self._make_dataset(name, parts, candidates))

  def _make_dataset(self, name, parts, candidates):
    folder = self.folder / "pictures" / name
    folder.mkdir(parents=True)
    rows = []
    for number, (kind, count, seed, of_set) in enumerate(parts):
      subprocess.run([BINARIES / "draw_scenes", kind, str(count), str(seed),
                      folder / str(number)], check=True)
      lines = (folder / str(number) / "examples.jsonl").read_text().splitlines()
      for line in lines:
        row = json.loads(line)
        row["image"] = f"{number}/{row['image']}"
        if of_set:
          row["attributes"] = {"set": of_set}
        rows.append(json.dumps(row))
    (folder / "examples.jsonl").write_text("\n".join(rows) + "\n")
    texts = folder / "0/candidates.txt"
    if candidates is not None:
      texts = folder / "candidates.txt"
      texts.write_text("".join(text + "\n" for text in candidates))
    self.service.run("dataset", "create", name, "--candidates", texts)
    self.service.run("dataset", "upload", name, folder / "examples.jsonl",
                     "--seal")
    shutil.rmtree(folder)
    return name

  # ---- jobs

  def run_job(self, **spec):
    """Submits a job and waits for it; the Job and its metric rows."""
    job = self.jobs.CreateJob(jobs_pb.CreateJobRequest(
        request_id=str(uuid.uuid4()), **spec))
    rows = []
    for update in self.jobs.WatchJob(jobs_pb.WatchJobRequest(id=job.id)):
      rows += update.metrics
      if update.HasField("job"):
        job = update.job
    assert job.state == jobs_pb.JOB_STATE_SUCCEEDED, (
        f"{job.id}: {job.status_message}\n{self.service.logs()}")
    return job, rows

  def evaluate(self, **spec):
    """Runs an evaluation job; the Evaluation."""
    job, _ = self.run_job(evaluate=jobs_pb.EvaluateSpec(**spec))
    return self.jobs.GetEvaluation(jobs_pb.GetEvaluationRequest(job_id=job.id))

  # ---- bases

  def base(self, seed):
    """A pre-trained tiny CLIP, "base-SEED:1": sees, reads, is fooled."""
    return self.once(("base", seed), lambda: self._import_base(seed))

  def base_key(self, seed):
    return digest([self._build, "base", dataclasses.asdict(self.sizes), seed])

  def _import_base(self, seed):
    path = self.cache / f"base-{seed}-{self.base_key(seed)}.safetensors"
    if not path.exists():
      trained = self._pretrain(seed)
      partial = path.with_suffix(f".{uuid.uuid4().hex}")
      self.service.run("model", "export", trained, "--out", partial)
      partial.rename(path)
    self.service.run("model", "import", f"base-{seed}", path)
    return f"base-{seed}:1"

  def _pretrain(self, seed):
    """Two chained InfoNCE jobs, as the demo does: plain captions first."""
    sizes = self.sizes
    random = self.folder / f"random-{seed}.safetensors"
    subprocess.run([BINARIES / "attune-convert", "--init", "tiny", "--seed",
                    str(seed), random], check=True, capture_output=True)
    self.service.run("model", "import", f"random-{seed}", random)
    version = f"random-{seed}:1"
    for kind, steps, warmup, schedule in (
        ("plain-captions", sizes.plain_steps, 0.15,
         jobs_pb.Optimizer.SCHEDULE_CONSTANT),
        ("captions", sizes.steps - sizes.plain_steps, 0.03,
         jobs_pb.Optimizer.SCHEDULE_COSINE)):
      if steps == 0:
        continue
      data = self.dataset(f"{kind}-{seed}",
                          [(kind, sizes.captions, 1000 * seed + 1, None)])
      job, _ = self.run_job(train=jobs_pb.TrainSpec(
          dataset=data, base=version, output_model=f"{kind}-{seed}",
          steps=steps, batch_size=64, seed=seed,
          infonce=jobs_pb.InfoNceObjective(),
          optimizer=jobs_pb.Optimizer(
              kind=jobs_pb.Optimizer.KIND_ADAMW, learning_rate=1e-3,
              weight_decay=0.05, warmup_ratio=warmup, schedule=schedule)))
      version = job.output_versions[0]
      self.service.run("dataset", "delete", data)
    return version

  # ---- alignment

  def aligned(self, seed, recipe):
    """What a base aligned by `recipe` answers, and the base itself:
    {"base": {figure: share}, "model": {figure: share}, "count": {…}}."""
    return self.remembered(
        "aligned", [self.base_key(seed), dataclasses.asdict(recipe)],
        lambda: self._align(seed, recipe))

  def _align(self, seed, recipe):
    base = self.base(seed)
    first = 1000 * seed
    clean = "clean-seen" if recipe.clean == "seen" else "clean"
    texts = [prompt(name) for name in CLASSES]
    if recipe.candidates == "seen":
      texts = texts[:SEEN]
    data = self.dataset(
        f"align-{recipe.clean}-{recipe.candidates}-{seed}",
        [("pairs", self.sizes.pairs, first + 2, None),
         (clean, self.sizes.pairs, first + 3, None)], texts)
    began = time.monotonic()
    job, rows = self.run_job(train=recipe.spec(
        dataset=data, base=base, seed=seed, epochs=self.sizes.epochs,
        output_model=f"aligned-{uuid.uuid4().hex[:12]}"))
    result = figures_of(self.evaluate(
        dataset=self.test(seed), model=job.output_versions[0],
        group_by=["set"]))
    result["margin"] = rows[-1].margin
    result["kl"] = rows[-1].kl if rows[-1].HasField("kl") else None
    result["seconds"] = time.monotonic() - began
    return result

  def test(self, seed):
    """The test pictures of a seed, which nothing was trained on."""
    count = self.sizes.tests
    first = 1000 * seed + 10
    kinds = ("seen", "seen-attacked", "unseen", "unseen-attacked",
             "unseen-font", "words", "blank-plate", "other-word")
    return self.dataset(f"test-{seed}", [
        (kind, count, first + number, kind.removesuffix("-attacked"))
        for number, kind in enumerate(kinds)
    ])

  # ---- serving

  def classify(self, version, images, labels, t=None):
    """The logits of each image over the labels, in their order."""
    logits = []
    for begin in range(0, len(images), 200):
      request = inference_pb.ClassifyImagesRequest(
          version=version, images=images[begin:begin + 200], labels=labels)
      if t is not None:
        request.t = t
      answer = self.inference.ClassifyImages(request, timeout=60)
      for one in answer.classifications:
        scores = {score.label_index: score.logit for score in one.scores}
        logits.append([scores[i] for i in range(len(labels))])
    return logits

  def embed(self, version, images, t=None):
    request = inference_pb.EmbedImagesRequest(version=version, images=images)
    if t is not None:
      request.t = t
    answer = self.inference.EmbedImages(request, timeout=60)
    return [list(one.values) for one in answer.embeddings]


@dataclasses.dataclass(frozen=True)
class Recipe:
  """How a base is aligned."""
  objective: str
  learning_rate: float
  beta: float | None = None
  kl_weight: float = 0
  # Which clean pictures and candidates the job has: of "all" or "seen" classes.
  clean: str = "all"
  candidates: str = "all"
  # Of the epochs.
  share: float = 1

  def spec(self, *, epochs, **more):
    options = {"kl_weight": self.kl_weight}
    if self.beta is not None:
      options["beta"] = self.beta
    message = {"dpo": jobs_pb.DpoObjective, "ipo": jobs_pb.IpoObjective,
               "kto": jobs_pb.KtoObjective, "ce": jobs_pb.CeObjective}
    return jobs_pb.TrainSpec(
        **{self.objective: message[self.objective](**options)},
        optimizer=jobs_pb.Optimizer(
            kind=jobs_pb.Optimizer.KIND_ADAMAX, warmup_ratio=0.1,
            learning_rate=self.learning_rate),
        epochs=max(1, round(self.share * epochs)), batch_size=64,
        freeze_logit_scale=True, **more)

  def label(self):
    parts = [f"lr {self.learning_rate:g}"]
    if self.beta is not None:
      parts.append(f"β {self.beta:g}")
    parts.append(f"λ {self.kl_weight:g}")
    return ", ".join(parts)


# (figure of an evaluation, group of "set") as what the experiments call it.
NAMES = {
    ("clean_top1", "seen"): "clean_seen",
    ("clean_top1", "unseen"): "clean_unseen",
    ("attacked_top1", "seen"): "attacked_seen",
    ("attacked_top1", "unseen"): "attacked_unseen",
    ("attacked_top1", "unseen-font"): "attacked_font",
    ("attack_success", "seen"): "fooled_seen",
    ("attack_success", "unseen"): "fooled_unseen",
    ("attack_success", "unseen-font"): "fooled_font",
    ("clean_top1", "words"): "reads",
    ("clean_top1", "blank-plate"): "blank_plate",
    ("clean_top1", "other-word"): "other_word",
}


def figures_of(evaluation):
  """An evaluation of Lab.test as plain shares of the model and its base."""

  def shares(figures):
    named = {NAMES[f.name, f.group]: f.value for f in figures
             if f.attribute == "set" and (f.name, f.group) in NAMES}
    # Of all classes, each counting alike.
    named["clean"] = (SEEN * named["clean_seen"] + (len(CLASSES) - SEEN) *
                      named["clean_unseen"]) / len(CLASSES)
    return named

  return {"model": shares(evaluation.part_figures),
          "base": shares(evaluation.against_part_figures)}


def digest(value):
  return hashlib.sha256(json.dumps(value, sort_keys=True).encode()
                       ).hexdigest()[:16]


def digest_of_files(paths):
  sums = hashlib.sha256()
  for path in paths:
    sums.update(path.read_bytes())
  return sums.hexdigest()


def default_cache():
  home = os.environ.get("ATTUNE_CACHE_DIR",
                        pathlib.Path.home() / ".cache/attune")
  return pathlib.Path(home) / "experiments"
