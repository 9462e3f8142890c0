"""OpenAI's own ViT-B/32, where somebody has it: ATTUNE_CLIP_WEIGHTS names the
file and ATTUNE_SHARED_DATA the golden values."""

import csv
import os
import pathlib

import numpy
import pytest
import torch
from PIL import Image

from conftest import ROOT, convert, embed, normalised

WEIGHTS = os.environ.get("ATTUNE_CLIP_WEIGHTS")
SHARED = pathlib.Path(os.environ.get("ATTUNE_SHARED_DATA",
                                     ROOT.parent / "shared/data"))
pytestmark = [
    pytest.mark.skipif(not WEIGHTS, reason="ATTUNE_CLIP_WEIGHTS does not name "
                       "OpenAI's ViT-B-32.pt"),
    pytest.mark.skipif(not (SHARED / "golden").is_dir(),
                       reason="ATTUNE_SHARED_DATA has no golden values"),
]


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
  path = tmp_path_factory.mktemp("weights") / "clip.safetensors"
  convert(WEIGHTS, path)
  return path


def pixels(paths):
  from open_clip import image_transform

  transform = image_transform(224, is_train=False)
  return torch.stack([transform(Image.open(path)) for path in paths])


def tokens(texts):
  import open_clip

  return open_clip.tokenize(texts).to(torch.int64)


def test_golden_embeddings(clip, tmp_path):
  golden = SHARED / "golden/vit-b-32"
  ours = embed(clip, pixels([golden / "CLIP.png"]),
               tokens(["a diagram", "a dog", "a cat"]), tmp_path)
  for name, file in (("images", "image_features.npy"),
                     ("texts", "text_features.npy")):
    theirs = torch.from_numpy(numpy.load(golden / file).astype("float32"))
    # The golden values may have been computed in half precision.
    difference = (ours[name] - normalised(theirs.reshape(ours[name].shape)))
    assert difference.abs().max() < 1e-3


def test_photos(clip, tmp_path):
  with open(SHARED / "photos/labels.csv") as file:
    rows = list(csv.reader(file))
  labels = sorted({label for _, label in rows})
  ours = embed(clip, pixels([SHARED / "photos/images" / f for f, _ in rows]),
               tokens([f"a photo of {label}" for label in labels]), tmp_path)
  best = ours["logits"].argmax(dim=1).tolist()
  assert [labels[i] for i in best] == [label for _, label in rows]
