"""What the comparisons share: the binaries, models of transformers and
open_clip with the same random weights, and the worker's answers.

Run by tests/run.sh --parity, in the environment of requirements.txt.
"""

import dataclasses
import os
import pathlib
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file, save_file

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/golden"))

import reference  # noqa: E402  (the formulas, shared with the golden files)

BUILD = pathlib.Path(os.environ.get("ATTUNE_BUILD", ROOT / "build/dev"))
BINARIES = BUILD / "bin"
PROBE = BUILD / "tests/clip_probe"

# Nothing is fetched: every model is made here.
os.environ["HF_HUB_OFFLINE"] = "1"
torch.set_num_threads(int(os.environ.get("ATTUNE_TEST_THREADS", "2")))


@dataclasses.dataclass(frozen=True)
class Tower:
  """A supported architecture; `blocks` is how many of each tower are kept."""
  name: str
  patch: int
  image: int
  width: int
  heads: int
  text_width: int
  text_heads: int
  embedding: int
  layers: int
  text_layers: int
  blocks: int | None = None
  activation: str = "quick_gelu"

  @property
  def vision_blocks(self):
    return self.blocks or self.layers

  @property
  def text_blocks(self):
    return self.blocks or self.text_layers


def _b(name, patch, **more):
  return Tower(name, patch, 224, 768, 12, 512, 8, 512, 12, 12, **more)


TOWERS = [
    _b("ViT-B-32", 32),
    _b("ViT-B-16", 16, activation="gelu"),
    Tower("ViT-L-14", 14, 224, 1024, 16, 768, 12, 768, 24, 12, blocks=2),
    Tower("ViT-L-14-336", 14, 336, 1024, 16, 768, 12, 768, 24, 12, blocks=2),
    Tower("ViT-H-14", 14, 224, 1280, 16, 1024, 16, 1024, 32, 24, blocks=2,
          activation="gelu"),
]
# For everything that does not depend on the size.
SMALL = Tower("small", 16, 64, 64, 4, 32, 2, 24, 3, 2, activation="gelu")


def transformers_model(tower, seed=0):
  """A CLIPModel whose every tensor is random, biases and norms too."""
  import transformers

  config = transformers.CLIPConfig(
      projection_dim=tower.embedding,
      vision_config=dict(
          hidden_size=tower.width, intermediate_size=4 * tower.width,
          num_hidden_layers=tower.vision_blocks,
          num_attention_heads=tower.heads, image_size=tower.image,
          patch_size=tower.patch, hidden_act=tower.activation,
          projection_dim=tower.embedding),
      text_config=dict(
          hidden_size=tower.text_width, intermediate_size=4 * tower.text_width,
          num_hidden_layers=tower.text_blocks,
          num_attention_heads=tower.text_heads, hidden_act=tower.activation,
          projection_dim=tower.embedding, bos_token_id=49406,
          eos_token_id=49407))
  torch.manual_seed(seed)
  return reference.randomise(transformers.CLIPModel(config), seed)


def open_clip_config(tower):
  return dict(
      embed_dim=tower.embedding, quick_gelu=tower.activation == "quick_gelu",
      vision_cfg=dict(
          image_size=tower.image, layers=tower.vision_blocks,
          width=tower.width, head_width=tower.width // tower.heads,
          patch_size=tower.patch),
      text_cfg=dict(
          context_length=77, vocab_size=49408, width=tower.text_width,
          heads=tower.text_heads, layers=tower.text_blocks))


def open_clip_model(tower, seed=0, custom_text=False):
  """open_clip's model of this architecture, every tensor random."""
  import open_clip

  kind = open_clip.CustomTextCLIP if custom_text else open_clip.CLIP
  torch.manual_seed(seed)
  return reference.randomise(kind(**open_clip_config(tower)), seed)


def convert(*arguments, code=0):
  """Runs attune-convert; returns what it printed."""
  done = subprocess.run([BINARIES / "attune-convert", *map(str, arguments)],
                        capture_output=True, text=True)
  assert done.returncode == code, done.stdout + done.stderr
  return done.stdout + done.stderr


def probe(*arguments):
  done = subprocess.run([PROBE, *map(str, arguments)], capture_output=True,
                        text=True)
  assert done.returncode == 0, done.stderr


def embed(model, pixels, tokens, folder):
  """images, texts and logits of the worker's forward pass."""
  save_file({"pixels": pixels.contiguous(), "tokens": tokens.contiguous()},
            folder / "in.safetensors")
  probe("embed", model, folder / "in.safetensors", folder / "out.safetensors")
  return load_file(folder / "out.safetensors")


def normalised(x):
  return x / x.norm(dim=-1, keepdim=True)


def prompts(lengths, seed=0):
  """Random texts of these lengths, start and end included, padded with 0 as
  OpenAI's and open_clip's tokenizers do."""
  generator = torch.Generator().manual_seed(seed)
  rows = torch.zeros(len(lengths), 77, dtype=torch.int64)
  for row, length in zip(rows, lengths):
    row[:length] = torch.randint(0, 49406, (length,), generator=generator)
    row[0] = 49406
    row[length - 1] = 49407
  return rows


def images(count, tower, seed=0):
  """Random pictures, uint8 [B, S, S, 3]."""
  generator = torch.Generator().manual_seed(seed)
  return torch.randint(0, 256, (count, tower.image, tower.image, 3),
                       generator=generator, dtype=torch.uint8)


def preprocessed(pixels):
  """The same, as OpenAI's preprocessing ends: float [B, 3, S, S]."""
  return reference.preprocessed(pixels).float()


def transformers_embeddings(model, pixels, tokens):
  """f, g and logits as transformers computes them."""
  with torch.no_grad():
    out = model(input_ids=tokens, pixel_values=pixels)
  return {"images": out.image_embeds, "texts": out.text_embeds,
          "logits": out.logits_per_image}


def open_clip_embeddings(model, pixels, tokens):
  with torch.no_grad():
    f = model.encode_image(pixels, normalize=True)
    g = model.encode_text(tokens, normalize=True)
    return {"images": f, "texts": g, "logits": model.logit_scale.exp() * f @ g.T}


def assert_close(ours, theirs, tolerance=1e-5, scale=None):
  """Embeddings within the tolerance, logits within it times s."""
  scale = scale or 100.0
  for name in theirs:
    allowed = tolerance * (scale if name == "logits" else 1)
    difference = (ours[name] - theirs[name]).abs().max().item()
    assert ours[name].shape == theirs[name].shape
    assert difference <= allowed, (
        f"{name} differ by {difference:.2e}, {allowed:.0e} are allowed")
  # Equal because there is nothing to tell apart would prove nothing.
  assert theirs["texts"].std(dim=0).max() > 1e-3


@pytest.fixture
def small(tmp_path):
  """The small CLIPModel, saved with its config."""
  model = transformers_model(SMALL)
  model.save_pretrained(tmp_path / "small")
  return model, tmp_path / "small"
