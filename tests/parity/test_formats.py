"""Checkpoints as the real packages write them come in; exported folders load
in the real packages and give the same embeddings."""

import json
import os
import pathlib
import subprocess
import time

import pytest
import torch
from safetensors.torch import load_file, save_file

from conftest import (BINARIES, ROOT, SMALL, assert_close, convert, embed, images,
                      open_clip_config, open_clip_embeddings, open_clip_model,
                      preprocessed, prompts, transformers_embeddings,
                      transformers_model)

TOKENS = prompts([2, 4, 9, 30, 77])
PIXELS = images(3, SMALL)


def check_transformers(model, clip, folder):
  assert_close(embed(clip, PIXELS, TOKENS, folder),
               transformers_embeddings(model, preprocessed(PIXELS), TOKENS))


def check_open_clip(model, clip, folder):
  assert_close(embed(clip, PIXELS, TOKENS, folder),
               open_clip_embeddings(model, preprocessed(PIXELS), TOKENS))


def write_open_clip_config(folder, tower):
  (folder / "open_clip_config.json").write_text(json.dumps(
      {"model_cfg": open_clip_config(tower),
       "preprocess_cfg": {"mean": [0.48145466, 0.4578275, 0.40821073],
                          "std": [0.26862954, 0.26130258, 0.27577711]}}))


def test_hugging_face_safetensors(small, tmp_path):
  model, folder = small
  clip = tmp_path / "clip.safetensors"
  convert(folder / "model.safetensors", clip)
  check_transformers(model, clip, tmp_path)


def test_hugging_face_bin(small, tmp_path):
  model, folder = small
  clip = tmp_path / "clip.safetensors"
  state = dict(model.state_dict())
  state["text_model.embeddings.position_ids"] = torch.arange(77)[None]
  torch.save(state, folder / "pytorch_model.bin")
  convert(folder / "pytorch_model.bin", clip)
  check_transformers(model, clip, tmp_path)


def test_hugging_face_half(small, tmp_path):
  model, folder = small
  clip = tmp_path / "clip.safetensors"
  model.half().save_pretrained(folder)
  convert(folder, clip)
  assert all(t.dtype == torch.float32 for t in load_file(clip).values())
  check_transformers(model.float(), clip, tmp_path)


@pytest.mark.parametrize("custom_text", [False, True])
@pytest.mark.parametrize("kind", ["safetensors", "pt", "training"])
def test_open_clip_files(kind, custom_text, tmp_path):
  model = open_clip_model(SMALL, custom_text=custom_text)
  clip = tmp_path / "clip.safetensors"
  path = tmp_path / f"open_clip.{kind}"
  if kind == "safetensors":
    save_file({n: t.contiguous() for n, t in model.state_dict().items()}, path)
  elif kind == "pt":
    torch.save(model.state_dict(), path)
  else:
    state = {"module." + name: t for name, t in model.state_dict().items()}
    torch.save({"epoch": 3, "name": "run", "state_dict": state,
                "optimizer": torch.optim.AdamW(model.parameters()).state_dict()},
               path)
  write_open_clip_config(tmp_path, SMALL)
  convert(path, clip)
  check_open_clip(model, clip, tmp_path)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_pickle_protocols(protocol, tmp_path):
  model = open_clip_model(SMALL)
  torch.save(model.state_dict(), tmp_path / "state.pt",
             pickle_protocol=protocol)
  write_open_clip_config(tmp_path, SMALL)
  convert(tmp_path / "state.pt", tmp_path / "clip.safetensors")
  check_open_clip(model, tmp_path / "clip.safetensors", tmp_path)


class Part(torch.nn.Module):
  """A module of OpenAI's names, with a method so that it has code."""

  def forward(self, x):
    return x


def openai_archive(path, state):
  """Saves tensors as OpenAI did: modules within modules, as TorchScript."""
  root = Part()
  for name, tensor in state.items():
    *modules, last = name.split(".")
    module = root
    for part in modules:
      if not hasattr(module, part):
        module.add_module(part, Part())
      module = getattr(module, part)
    module.register_parameter(last, torch.nn.Parameter(tensor, False))
  for name, value in (("input_resolution", 224), ("context_length", 77),
                      ("vocab_size", 49408)):
    root.register_buffer(name, torch.tensor(value))
  torch.jit.trace(root, torch.ones(1)).save(str(path))


def test_openai_archive_of_a_small_model(tmp_path):
  tower = SMALL.__class__(**{**SMALL.__dict__, "activation": "quick_gelu",
                             "width": 128, "heads": 2, "text_width": 64,
                             "text_heads": 1})
  model = open_clip_model(tower)
  openai_archive(tmp_path / "small.pt", model.state_dict())
  printed = convert(tmp_path / "small.pt", tmp_path / "clip.safetensors")
  assert "TorchScript archive" in printed
  check_open_clip(model, tmp_path / "clip.safetensors", tmp_path)


def test_openai_archive_of_vit_b_32(tmp_path):
  """Every entry of OpenAI's file, in its own types."""
  shared = pathlib.Path(os.environ.get("ATTUNE_SHARED_DATA",
                                       ROOT.parent / "shared/data"))
  listing = shared / "golden/vit-b-32/ViT-B-32.json"
  if not listing.exists():
    pytest.skip("ATTUNE_SHARED_DATA has no list of the archive's entries")
  torch.manual_seed(0)
  state = {}
  for name, entry in json.loads(listing.read_text()).items():
    if entry.get("dtype") in ("float16", "float32"):
      state[name] = torch.randn(entry["shape"],
                                dtype=getattr(torch, entry["dtype"])) * 0.02
  openai_archive(tmp_path / "ViT-B-32.pt", state)
  printed = convert(tmp_path / "ViT-B-32.pt", tmp_path / "clip.safetensors")
  assert "ViT-B-32 with quick_gelu" in printed
  converted = load_file(tmp_path / "clip.safetensors")
  assert converted.keys() == state.keys()
  for name, tensor in state.items():
    assert torch.equal(converted[name], tensor.float()), name


def test_hostile_pickles_run_nothing(tmp_path):
  canary = tmp_path / "canary"

  class Attack:

    def __reduce__(self):
      return os.system, (f"touch {canary}",)

  for name, value in (("whole.pt", Attack()), ("entry.pt", {"w": Attack()}),
                      ("beside.pt", {"state_dict": {"w": Attack()}})):
    torch.save(value, tmp_path / name)
    printed = convert(tmp_path / name, tmp_path / "out.safetensors", code=1)
    assert "nothing of it was run" in printed
    assert printed.count("\n") == 1
    # The file is armed.
    torch.load(tmp_path / name, weights_only=False)
    assert canary.exists()
    canary.unlink()
    convert(tmp_path / name, tmp_path / "out.safetensors", code=1)
    assert not canary.exists()
  assert not (tmp_path / "out.safetensors").exists()


def test_files_of_old_pytorch_are_refused(tmp_path):
  torch.save(open_clip_model(SMALL).state_dict(), tmp_path / "old.pt",
             _use_new_zipfile_serialization=False)
  printed = convert(tmp_path / "old.pt", tmp_path / "out.safetensors", code=1)
  assert "before 1.6" in printed


def test_image_sizes_are_interpolated_as_open_clip_does(tmp_path):
  import open_clip

  model = open_clip_model(SMALL)
  torch.save(model.state_dict(), tmp_path / "state.pt")
  write_open_clip_config(tmp_path, SMALL)
  for size in (32, 96, 160):
    convert("--image-size", size, tmp_path / "state.pt",
            tmp_path / "clip.safetensors")
    config = open_clip_config(SMALL)
    config["vision_cfg"]["image_size"] = size
    larger = open_clip.CLIP(**config).eval()
    state = dict(model.state_dict())
    open_clip.model.resize_pos_embed(state, larger)
    larger.load_state_dict(state)
    pixels = torch.randn(2, 3, size, size)
    assert_close(embed(tmp_path / "clip.safetensors", pixels, TOKENS, tmp_path),
                 open_clip_embeddings(larger, pixels, TOKENS))


@pytest.fixture(scope="module")
def server(tmp_path_factory):
  """A server with a model "base", and the CLI that talks to it."""
  folder = tmp_path_factory.mktemp("server")
  model = transformers_model(SMALL, seed=5)
  model.save_pretrained(folder / "hf")
  convert(folder / "hf", folder / "clip.safetensors")
  process = subprocess.Popen(
      [BINARIES / "attune-server", "--data-dir", folder / "data", "--listen",
       "127.0.0.1:0", "--metrics", "127.0.0.1:0", "--address-file",
       folder / "addresses"], stdout=subprocess.DEVNULL,
      stderr=subprocess.DEVNULL)
  deadline = time.monotonic() + 60
  while not (folder / "addresses").exists() and time.monotonic() < deadline:
    time.sleep(0.05)
  address = dict(line.split("=", 1) for line in
                 (folder / "addresses").read_text().split())["listen"]

  def run(*arguments):
    done = subprocess.run([BINARIES / "attune", "--server", address,
                           *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout

  run("model", "import", "base", folder / "clip.safetensors")
  yield run, model, folder / "clip.safetensors"
  process.terminate()
  process.wait(60)


def test_exported_for_transformers(server, tmp_path):
  import transformers

  run, original, clip = server
  run("model", "export", "base", "--format", "huggingface", "--out",
      tmp_path / "out")
  loaded, report = transformers.CLIPModel.from_pretrained(
      tmp_path / "out", output_loading_info=True)
  for problem in ("missing_keys", "unexpected_keys", "mismatched_keys"):
    assert not report[problem], report
  check_transformers(loaded.eval(), clip, tmp_path)
  for name, tensor in original.state_dict().items():
    assert torch.equal(loaded.state_dict()[name], tensor), name
  processor = transformers.CLIPImageProcessor.from_pretrained(tmp_path / "out")
  assert processor.crop_size["height"] == SMALL.image
  assert processor.image_mean == pytest.approx(
      [0.48145466, 0.4578275, 0.40821073])
  tokenizer = transformers.CLIPTokenizer.from_pretrained(tmp_path / "out")
  assert tokenizer(["a photo of a dog."])["input_ids"] == [
      [49406, 320, 1125, 539, 320, 1929, 269, 49407]]
  # And back.
  convert(tmp_path / "out", tmp_path / "back.safetensors")
  before, after = load_file(clip), load_file(tmp_path / "back.safetensors")
  assert before.keys() == after.keys()
  assert all(torch.equal(before[name], after[name]) for name in before)


def test_exported_for_open_clip(server, tmp_path):
  import open_clip

  run, _, clip = server
  run("model", "export", "base", "--format", "open_clip", "--out",
      tmp_path / "out")
  loaded = open_clip.create_model(f"local-dir:{tmp_path / 'out'}").eval()
  check_open_clip(loaded, clip, tmp_path)
  convert(tmp_path / "out", tmp_path / "back.safetensors")
  before, after = load_file(clip), load_file(tmp_path / "back.safetensors")
  assert all(torch.equal(before[name], after[name]) for name in before)


def test_exported_as_it_is(server, tmp_path):
  run, _, clip = server
  run("model", "export", "base", "--format", "openai", "--out", tmp_path)
  exported = load_file(tmp_path / "model.safetensors")
  before = load_file(clip)
  assert before.keys() == exported.keys()
  assert all(torch.equal(before[name], exported[name]) for name in before)
