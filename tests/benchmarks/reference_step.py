#!/usr/bin/env python3
"""The programs that tests/benchmarks/run.sh compares with: what the published
scripts do, in transformers and PyTorch.

    reference_step.py CASE INPUTS --rounds N [--threads N] [--tower JSON]

  published_step     DPO and KL on both streams, reference model run at every
                     step, both towers trained, Adamax, beta moving average;
                     prompts padded to the longest one
  published_step_77  the same padded to 77
  zero_shot_texts    text embeddings in batches of 256, padded to the longest
  embed_image_32     image embeddings, all images in one batch
  optimizer_pass     torch.optim.Adamax and the average as a loop

INPUTS is the file that step_benchmark reads. Prints {"seconds": […],
"peak_bytes": …}. The first round warms up and is not counted.
"""

import argparse
import json
import pathlib
import resource
import sys
import time

import torch
from safetensors.torch import load_file
from transformers import CLIPConfig, CLIPModel

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "golden"))

import reference  # noqa: E402

VIT_B_32 = dict(width=768, layers=12, heads=12, image=224, patch=32,
                text_width=512, text_layers=12, text_heads=8, embedding=512)
TEXT_BATCH = 256


def make_model(tower, seed=0):
  torch.manual_seed(seed)
  return CLIPModel(CLIPConfig(
      projection_dim=tower["embedding"],
      vision_config=dict(
          hidden_size=tower["width"], intermediate_size=4 * tower["width"],
          num_hidden_layers=tower["layers"], num_attention_heads=tower["heads"],
          image_size=tower["image"], patch_size=tower["patch"],
          projection_dim=tower["embedding"]),
      text_config=dict(
          hidden_size=tower["text_width"],
          intermediate_size=4 * tower["text_width"],
          num_hidden_layers=tower["text_layers"],
          num_attention_heads=tower["text_heads"], bos_token_id=49406,
          eos_token_id=49407, projection_dim=tower["embedding"])))


def padded(tokens, length):
  """Token rows padded, with the attention mask that transformers' tokenizer
  gives."""
  rows = torch.full((len(tokens), length), 49407)
  rows[:, :tokens.shape[1]] = tokens[:, :length]
  ends = (tokens == 49407).int().argmax(1)
  mask = (torch.arange(length) <= ends[:, None]).long()
  return torch.where(mask.bool(), rows, 49407), mask


def longest(tokens):
  return int((tokens == 49407).int().argmax(1).max()) + 1


class PublishedStep:

  def __init__(self, tower, inputs, pad_to, batch=8):
    self.policy = make_model(tower).train()
    self.reference = make_model(tower).eval().requires_grad_(False)
    self.average = [p.detach().clone() for p in self.policy.parameters()]
    self.optimizer = torch.optim.Adamax(self.policy.parameters(), lr=2e-5)
    self.inputs = inputs
    self.pixels = reference.preprocessed(inputs["pixels"]).float()
    candidates = inputs["tokens"][inputs["candidates"]]
    self.tokens, self.mask = padded(candidates, pad_to or longest(candidates))
    self.batch = batch
    self.step = 0

  def logits(self, model, pixels):
    return model(input_ids=self.tokens, attention_mask=self.mask,
                 pixel_values=pixels).logits_per_image

  def __call__(self):
    at = self.step * self.batch % len(self.inputs["pairs"])
    pairs = self.inputs["pairs"][at:at + self.batch]
    clean = self.inputs["clean"][at:at + self.batch]
    pixels = self.pixels[torch.cat([pairs[:, 0], clean])]
    with torch.no_grad():
      fixed = self.logits(self.reference, pixels)
    values = self.logits(self.policy, pixels)
    count = len(pairs)
    loss = (reference.dpo(values[:count], fixed[:count], pairs[:, 1],
                          pairs[:, 2], 1.0, 0.0) +
            reference.kl(values[count:], fixed[count:]))
    self.optimizer.zero_grad()
    loss.backward()
    self.optimizer.step()
    self.step += 1
    move_average(self.average, self.policy, 1 / (self.step + 1))


def move_average(average, model, r):
  """avg ← (avg + r·θ) / (1 + r), a tensor at a time."""
  with torch.no_grad():
    for kept, parameter in zip(average, model.parameters()):
      kept.copy_((kept + r * parameter) / (1 + r))


def embed_texts(tower, inputs):
  model = make_model(tower).eval()
  tokens, mask = padded(inputs["tokens"], longest(inputs["tokens"]))

  def run():
    with torch.no_grad():
      for at in range(0, len(tokens), TEXT_BATCH):
        model.get_text_features(input_ids=tokens[at:at + TEXT_BATCH],
                                attention_mask=mask[at:at + TEXT_BATCH])

  return run


def embed_images(tower, inputs):
  model = make_model(tower).eval()
  pixels = reference.preprocessed(inputs["pixels"]).float()

  def run():
    with torch.no_grad():
      model.get_image_features(pixel_values=pixels)

  return run


def optimizer_pass(tower):
  model = make_model(tower)
  average = [p.detach().clone() for p in model.parameters()]
  optimizer = torch.optim.Adamax(model.parameters(), lr=2e-5)
  for parameter in model.parameters():
    parameter.grad = torch.randn_like(parameter) * 1e-3

  def run():
    optimizer.step()
    move_average(average, model, 0.1)

  return run


def main():
  parser = argparse.ArgumentParser(
      description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
  parser.add_argument("case")
  parser.add_argument("inputs")
  parser.add_argument("--rounds", type=int, default=3)
  parser.add_argument("--threads", type=int, default=0)
  parser.add_argument("--tower", type=json.loads, default=VIT_B_32)
  arguments = parser.parse_args()
  if arguments.threads:
    torch.set_num_threads(arguments.threads)
  inputs = load_file(arguments.inputs)
  tower = arguments.tower
  cases = {
      "published_step": lambda: PublishedStep(tower, inputs, None),
      "published_step_77": lambda: PublishedStep(tower, inputs, 77),
      "zero_shot_texts": lambda: embed_texts(tower, inputs),
      "embed_image_32": lambda: embed_images(tower, inputs),
      "optimizer_pass": lambda: optimizer_pass(tower),
  }
  run = cases[arguments.case]()
  seconds = []
  for _ in range(arguments.rounds + 1):
    start = time.perf_counter()
    run()
    seconds.append(time.perf_counter() - start)
  peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
  print(json.dumps({"seconds": seconds[1:], "peak_bytes": peak}))


if __name__ == "__main__":
  main()
