"""Embeddings and logits of every supported tower, on the same random weights
as transformers and open_clip."""

import pytest
import torch

from conftest import (TOWERS, assert_close, convert, embed, images, open_clip_embeddings,
                      open_clip_model, preprocessed, prompts,
                      transformers_embeddings, transformers_model)

# From two tokens, start and end, to the whole context.
EVERY_LENGTH = list(range(2, 78))


@pytest.mark.parametrize("tower", TOWERS, ids=lambda tower: tower.name)
def test_transformers(tower, tmp_path):
  model = transformers_model(tower)
  model.save_pretrained(tmp_path / "model")
  convert(tmp_path / "model", tmp_path / "clip.safetensors")
  tokens = prompts(EVERY_LENGTH)
  pixels = images(64, tower)
  theirs = transformers_embeddings(model, preprocessed(pixels), tokens)
  scale = model.logit_scale.exp().item()
  for batch in (1, 3, 64):
    ours = embed(tmp_path / "clip.safetensors", pixels[:batch], tokens,
                 tmp_path)
    assert_close(ours, {"images": theirs["images"][:batch],
                        "texts": theirs["texts"],
                        "logits": theirs["logits"][:batch]}, scale=scale)


@pytest.mark.parametrize("tower", TOWERS, ids=lambda tower: tower.name)
def test_open_clip(tower, tmp_path):
  from safetensors.torch import save_file

  model = open_clip_model(tower)
  path = tmp_path / "open_clip_model.safetensors"
  save_file({name: tensor.contiguous() for name, tensor
             in model.state_dict().items()}, path)
  convert("--activation", tower.activation, path, tmp_path / "clip.safetensors")
  tokens = prompts([2, 3, 5, 8, 16, 40, 77])
  pixels = images(5, tower)
  theirs = open_clip_embeddings(model, preprocessed(pixels), tokens)
  ours = embed(tmp_path / "clip.safetensors", preprocessed(pixels), tokens,
               tmp_path)
  assert_close(ours, theirs, scale=model.logit_scale.exp().item())


def test_prompts_that_share_beginnings(small, tmp_path):
  model, folder = small
  convert(folder, tmp_path / "clip.safetensors")
  tokens = prompts([10] * 40)
  tokens[:, 1:6] = tokens[0, 1:6]
  tokens[20:, 1:8] = tokens[20, 1:8]
  pixels = torch.randn(2, 3, 64, 64)
  assert_close(embed(tmp_path / "clip.safetensors", pixels, tokens, tmp_path),
               transformers_embeddings(model, pixels, tokens))
