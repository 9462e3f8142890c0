"""Golden embeddings and gradients of a very small CLIP, from transformers in
double precision.

Writes into a folder: weights.safetensors and reference.safetensors, two models
of one shape, and for either activation a file with inputs and what comes out:
images, texts, logits, and the loss and gradients of a DPO step with a KL term
and of an InfoNCE step.
"""

import torch
import transformers
from safetensors.torch import save_file

import reference

ACTIVATIONS = ("quick_gelu", "gelu")
VOCABULARY = 40
CONTEXT = 9
PAIRS, CLEAN = 4, 2
BETA, LABEL_SMOOTHING, KL_WEIGHT = 0.7, 0.1, 0.5
METADATA = {
    "format": "pt", "attune.vision_heads": "2", "attune.text_heads": "4",
}


def make_model(activation, seed):
  config = transformers.CLIPConfig(
      projection_dim=6,
      vision_config=dict(
          hidden_size=8, intermediate_size=32, num_hidden_layers=2,
          num_attention_heads=2, image_size=12, patch_size=4,
          hidden_act=activation, projection_dim=6),
      text_config=dict(
          hidden_size=12, intermediate_size=48, num_hidden_layers=2,
          num_attention_heads=4, hidden_act=activation, projection_dim=6,
          vocab_size=VOCABULARY, max_position_embeddings=CONTEXT,
          bos_token_id=VOCABULARY - 2, eos_token_id=VOCABULARY - 1,
          pad_token_id=0))
  torch.manual_seed(seed)
  return reference.randomise(transformers.CLIPModel(config), seed)


def make_inputs():
  generator = torch.Generator().manual_seed(7)
  tokens = torch.zeros(7, CONTEXT, dtype=torch.int64)
  for row, length in zip(tokens, (2, 3, 4, 5, 7, 8, 9)):
    row[:length] = torch.randint(1, VOCABULARY - 2, (length,),
                                 generator=generator)
    row[0], row[length - 1] = VOCABULARY - 2, VOCABULARY - 1
  # Two prompts with a common beginning.
  tokens[5, :4] = tokens[6, :4]
  return {
      "pixels": torch.randint(0, 256, (PAIRS + CLEAN, 12, 12, 3),
                              generator=generator, dtype=torch.uint8),
      "tokens": tokens,
      "pairs": torch.tensor([[0, 0, 1], [1, 2, 3], [2, 4, 0], [3, 5, 6]]),
      "clean": torch.tensor([4, 5]),
      "candidates": torch.arange(7),
      # Image, caption and class of each example.
      "captions": torch.tensor([[0, 0, 1], [1, 1, 2], [2, 2, 1], [3, 3, 3],
                                [4, 4, 2], [5, 5, 4]]),
  }


def gradients(model, loss, name):
  model.zero_grad()
  loss.backward()
  by_name = reference.openai_names(
      {n: p.grad for n, p in model.named_parameters()})
  result = {f"{name}/{n}": g.clone() for n, g in by_name.items()}
  result[f"{name}/loss"] = loss.detach()
  return result


def expected(activation):
  inputs = make_inputs()
  policy = make_model(activation, 1).double()
  other = make_model(activation, 2).double()
  pixels = reference.preprocessed(inputs["pixels"])
  tokens = inputs["tokens"]
  with torch.no_grad():
    out = policy(input_ids=tokens, pixel_values=pixels)
    reference_logits = reference.logits(other, pixels, tokens)
  result = {"images": out.image_embeds, "texts": out.text_embeds,
            "logits": out.logits_per_image}
  values = reference.logits(policy, pixels, tokens)
  dpo = reference.dpo(values[:PAIRS], reference_logits[:PAIRS],
                      inputs["pairs"][:, 1], inputs["pairs"][:, 2], BETA,
                      LABEL_SMOOTHING)
  loss = dpo + KL_WEIGHT * reference.kl(values[PAIRS:],
                                        reference_logits[PAIRS:])
  result |= gradients(policy, loss, "dpo")
  captions = inputs["captions"]
  values = reference.logits(policy, pixels, tokens[captions[:, 1]])
  result |= gradients(policy, reference.infonce(values, captions[:, 2]),
                      "infonce")
  result = {name: tensor.float().contiguous()
            for name, tensor in result.items()}
  return inputs | result


def generate(folder):
  """Writes the files; the folder is made."""
  folder.mkdir(parents=True, exist_ok=True)
  for name, seed in (("weights", 1), ("reference", 2)):
    model = make_model("gelu", seed)
    tensors = reference.openai_names(dict(model.named_parameters()))
    save_file({n: t.detach().contiguous() for n, t in tensors.items()},
              folder / f"{name}.safetensors", METADATA)
  for activation in ACTIVATIONS:
    save_file(expected(activation), folder / f"{activation}.safetensors")
