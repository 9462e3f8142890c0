"""Gradients of every tensor, against autograd over transformers' model with
the objectives written down once more from their formulas (docs)."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

import reference as formulas
from conftest import (SMALL, TOWERS, convert, images, probe, prompts,
                      transformers_model)

PAIRS = 4
CLEAN = 3
TEXTS = 6


def check(tower, folder, config, tensors, loss_of):
  """Compares the worker's gradient with that of loss_of(policy, reference),
  which get logits of all images against all texts, in double precision."""
  policy, reference = (transformers_model(tower, seed) for seed in (0, 0))
  with torch.no_grad():
    torch.manual_seed(9)
    for parameter in reference.parameters():
      if parameter.dim() > 0:
        parameter.mul_(1 + 0.02 * torch.randn_like(parameter))
  for name, model in (("policy", policy), ("reference", reference)):
    model.save_pretrained(folder / name)
    convert(folder / name, folder / f"{name}.safetensors")
  save_file(tensors, folder / "in.safetensors")
  probe("gradient", folder / "policy.safetensors",
        folder / "reference.safetensors", json.dumps(config),
        folder / "in.safetensors", folder / "out.safetensors")
  ours = load_file(folder / "out.safetensors")

  pixels = formulas.preprocessed(tensors["pixels"])
  policy.double()
  reference.double()
  exact, loss, terms = gradients(policy, reference, pixels, tensors["tokens"],
                                 loss_of)
  assert abs(ours["loss"].item() - loss) <= 1e-4 * max(1, abs(loss))
  assert exact.keys() == ours.keys() - {"loss"}
  for name, gradient in exact.items():
    norm = gradient.norm().item()
    error = (ours[name].double() - gradient).norm().item()
    assert norm > 0, name
    # That of logit_scale is the sum of terms of both signs that nearly cancel:
    # single precision rounds the terms, not what is left of them.
    scale = terms if name == "logit_scale" else norm
    assert error <= 1e-4 * scale, (
        f"{name}: {error / scale:.2e} of {scale:.2e}, its norm {norm:.2e}")


def gradients(policy, reference, pixels, tokens, loss_of):
  """Of every tensor, by OpenAI's names; the loss; and the sum of the magnitudes
  of what logit_scale's is the sum of, dL/dlogit · logit over all logits."""
  with torch.no_grad():
    reference_logits = formulas.logits(reference, pixels, tokens)
  policy.zero_grad()
  logits = formulas.logits(policy, pixels, tokens)
  logits.retain_grad()
  loss = loss_of(logits, reference_logits)
  loss.backward()
  by_name = {n: p.grad for n, p in policy.named_parameters()}
  return ({n: g.clone() for n, g in formulas.openai_names(by_name).items()},
          loss.item(), (logits.grad * logits).abs().sum().item())


def pair_inputs(tower):
  generator = torch.Generator().manual_seed(3)
  preferred = torch.randint(0, TEXTS, (PAIRS,), generator=generator)
  rejected = (preferred + torch.randint(1, TEXTS, (PAIRS,),
                                        generator=generator)) % TEXTS
  return {
      "pixels": images(PAIRS + CLEAN, tower),
      "tokens": prompts([3, 5, 7, 9, 12, 20]),
      "pairs": torch.stack([torch.arange(PAIRS), preferred, rejected], 1),
      "clean": torch.arange(PAIRS, PAIRS + CLEAN),
      "candidates": torch.arange(TEXTS),
  }


def dpo(policy, reference, inputs, beta, label_smoothing):
  pairs = inputs["pairs"]
  return formulas.dpo(policy[:PAIRS], reference[:PAIRS], pairs[:, 1],
                      pairs[:, 2], beta, label_smoothing)


@pytest.mark.parametrize("tower", [SMALL, *TOWERS], ids=lambda tower: tower.name)
def test_dpo_with_kl(tower, tmp_path):
  config = {"objective": "dpo", "kl_weight": 0.5,
            "options": {"beta": 0.7, "label_smoothing": 0.1}}
  inputs = pair_inputs(tower)

  def loss(policy, reference):
    return (dpo(policy, reference, inputs, 0.7, 0.1) +
            0.5 * formulas.kl(policy[PAIRS:], reference[PAIRS:]))

  check(tower, tmp_path, config, inputs, loss)


def test_dpo_in_micro_batches(tmp_path):
  config = {"objective": "dpo", "micro_batch_size": 1,
            "options": {"beta": 1.0, "label_smoothing": 0.0}}
  inputs = pair_inputs(SMALL)
  check(SMALL, tmp_path, config, inputs,
        lambda policy, reference: dpo(policy, reference, inputs, 1.0, 0.0))


def test_ipo(tmp_path):
  inputs = pair_inputs(SMALL)
  pairs = inputs["pairs"]
  check(SMALL, tmp_path, {"objective": "ipo", "options": {"beta": 0.05}}, inputs,
        lambda policy, reference: formulas.ipo(
            policy[:PAIRS], reference[:PAIRS], pairs[:, 1], pairs[:, 2], 0.05))


def test_kto(tmp_path):
  inputs = pair_inputs(SMALL)
  pairs = inputs["pairs"]

  def loss(policy, reference):
    z = formulas.kl(policy[PAIRS:], reference[PAIRS:]).detach()
    return formulas.kto(policy[:PAIRS], reference[:PAIRS], pairs[:, 1],
                        pairs[:, 2], z, 0.3, 1.0, 0.5)

  check(SMALL, tmp_path,
        {"objective": "kto", "options": {"beta": 0.3, "desirable_weight": 1.0,
                                         "undesirable_weight": 0.5}},
        inputs, loss)


def test_ce(tmp_path):
  inputs = pair_inputs(SMALL)
  check(SMALL, tmp_path, {"objective": "ce", "options": {}}, inputs,
        lambda policy, _: formulas.ce(policy[:PAIRS], inputs["pairs"][:, 1]))


@pytest.mark.parametrize("tower", [SMALL, *TOWERS], ids=lambda tower: tower.name)
def test_infonce(tower, tmp_path):
  classes = torch.tensor([0, 1, 2, 0, 3, 1])
  count = len(classes)
  inputs = {
      "pixels": images(count, tower),
      "tokens": prompts([3, 5, 7, 9, 12, 20]),
      "captions": torch.stack(
          [torch.arange(count), torch.arange(count), classes], 1),
  }
  check(tower, tmp_path, {"objective": "infonce", "options": {}}, inputs,
        lambda policy, _: formulas.infonce(policy, classes))
