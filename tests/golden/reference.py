"""CLIP's objectives over transformers' model, written down from their formulas
(docs/architecture.md), and OpenAI's names for its tensors. What the golden
files and tests/parity compare with; nothing here is shared with the product.
"""

import torch
import torch.nn.functional as F

# OpenAI's preprocessing.
MEAN = (0.48145466, 0.4578275, 0.40821073)
DEVIATION = (0.26862954, 0.26130258, 0.27577711)

WHOLE_NAMES = {
    "vision_model.embeddings.class_embedding": "visual.class_embedding",
    "vision_model.embeddings.patch_embedding.weight": "visual.conv1.weight",
    "vision_model.embeddings.position_embedding.weight":
        "visual.positional_embedding",
    "text_model.embeddings.token_embedding.weight": "token_embedding.weight",
    "text_model.embeddings.position_embedding.weight": "positional_embedding",
    "logit_scale": "logit_scale",
}
PARTS = [
    ("vision_model.encoder.layers.", "visual.transformer.resblocks."),
    ("text_model.encoder.layers.", "transformer.resblocks."),
    ("vision_model.pre_layrnorm.", "visual.ln_pre."),
    ("vision_model.post_layernorm.", "visual.ln_post."),
    ("text_model.final_layer_norm.", "ln_final."),
    (".self_attn.q_proj.", ".attn.in_proj_"),
    (".self_attn.out_proj.", ".attn.out_proj."),
    (".layer_norm1.", ".ln_1."),
    (".layer_norm2.", ".ln_2."),
    (".mlp.fc1.", ".mlp.c_fc."),
    (".mlp.fc2.", ".mlp.c_proj."),
]


def openai_names(tensors):
  """Tensors under transformers' names, under OpenAI's: query, key and value
  in one tensor, projections transposed."""
  result = {}
  for name, tensor in tensors.items():
    if name in WHOLE_NAMES:
      result[WHOLE_NAMES[name]] = tensor
      continue
    if name in ("visual_projection.weight", "text_projection.weight"):
      new = "visual.proj" if name.startswith("visual") else "text_projection"
      result[new] = tensor.T.contiguous()
      continue
    if "k_proj" in name or "v_proj" in name:
      continue
    if "q_proj" in name:
      tensor = torch.cat([tensors[name.replace("q_proj", part)]
                          for part in ("q_proj", "k_proj", "v_proj")])
    for old, new in PARTS:
      name = name.replace(old, new)
    result[name] = tensor
  return result


def preprocessed(pixels):
  """uint8 [B, S, S, 3] to what the model takes, [B, 3, S, S]."""
  scaled = pixels.double() / 255
  normal = (scaled - torch.tensor(MEAN)) / torch.tensor(DEVIATION)
  return normal.permute(0, 3, 1, 2)


def randomise(model, seed):
  """Makes every tensor random, biases and norms too, so that none hides a
  mistake; s becomes 99.5, near OpenAI's."""
  generator = torch.Generator().manual_seed(seed)
  with torch.no_grad():
    for parameter in model.parameters():
      scale = 0.02 if parameter.dim() > 1 else 0.1
      parameter.add_(
          torch.randn(parameter.shape, generator=generator) * scale)
    model.logit_scale.fill_(4.6)
  return model.eval()


def logits(model, pixels, tokens):
  """s · f(x)·g(y), [B, N]."""
  out = model(input_ids=tokens, pixel_values=pixels)
  return out.logits_per_image


def kl(policy, reference):
  """Mean over the images of Σ π_ref (log π_ref − log π)."""
  p, q = F.log_softmax(reference, -1), F.log_softmax(policy, -1)
  return (p.exp() * (p - q)).sum(-1).mean()


def dpo(policy, reference, preferred, rejected, beta, label_smoothing):
  h = (log_ratios(policy, reference, preferred) -
       log_ratios(policy, reference, rejected))
  return -((1 - label_smoothing) * F.logsigmoid(beta * h) +
           label_smoothing * F.logsigmoid(-beta * h)).mean()


def log_ratios(policy, reference, columns):
  """log π − log π_ref of one text an image."""
  ratio = F.log_softmax(policy, -1) - F.log_softmax(reference, -1)
  return ratio[torch.arange(len(columns)), columns]


def ipo(policy, reference, preferred, rejected, beta):
  h = (log_ratios(policy, reference, preferred) -
       log_ratios(policy, reference, rejected))
  return ((h - 1 / (2 * beta))**2).mean()


def kto(policy, reference, preferred, rejected, z, beta, desirable,
        undesirable):
  a = log_ratios(policy, reference, preferred)
  b = log_ratios(policy, reference, rejected)
  return torch.cat([desirable * (1 - torch.sigmoid(beta * (a - z))),
                    undesirable * (1 - torch.sigmoid(beta * (z - b)))]).mean()


def ce(policy, preferred):
  return F.cross_entropy(policy, preferred)


def infonce(values, classes):
  """Symmetric cross-entropy of [B, B]; one class makes positives."""
  positive = (classes[:, None] == classes[None]).to(values.dtype)

  def one_way(l, p):
    return -(p / p.sum(-1, keepdim=True) * F.log_softmax(l, -1)).sum(-1).mean()

  return (one_way(values, positive) + one_way(values.T, positive.T)) / 2
