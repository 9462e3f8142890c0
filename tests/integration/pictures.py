"""Small PNGs made from nothing but the standard library."""

import json
import random
import struct
import zlib


def png(side, rows):
  """A PNG of side × side pixels from rows of (red, green, blue)."""
  return png_of_rows(
      side, [bytes(v for pixel in row for v in pixel) for row in rows])


def png_of_rows(side, rows):
  """A PNG of side × side pixels from rows of 3 side bytes."""

  def chunk(kind, data):
    body = kind + data
    return (struct.pack(">I", len(data)) + body +
            struct.pack(">I", zlib.crc32(body)))

  raw = b"".join(b"\0" + row for row in rows)
  header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
  return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) +
          chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b""))


def blob(seed, side=48):
  """A PNG of coloured noise in 8 × 8 blocks, another one for each seed."""
  draw = random.Random(seed)
  blocks = [[tuple(draw.randrange(256) for _ in range(3)) for _ in range(8)]
            for _ in range(8)]
  return png(side, [[blocks[y * 8 // side][x * 8 // side] for x in range(side)]
                    for y in range(side)])


def noise(seed, side):
  """A PNG of coloured noise, 3 side² bytes that do not get smaller."""
  draw = random.Random(seed)
  return png_of_rows(side, [draw.randbytes(3 * side) for _ in range(side)])


CLASSES = ("dog", "cat", "car", "tree")


def prompt(word):
  return f"a photo of a {word}."


def write_examples(folder, pairs=16, clean=16, labelled=8):
  """Writes pictures and examples.jsonl; returns the file's path."""
  folder.mkdir(parents=True, exist_ok=True)
  rows = []
  for index in range(pairs + clean + labelled):
    name = f"p{index}.png"
    (folder / name).write_bytes(blob(index))
    word = CLASSES[index % len(CLASSES)]
    other = CLASSES[(index + 1) % len(CLASSES)]
    if index < pairs:
      rows.append({"image": name, "preferred": prompt(word),
                   "rejected": prompt(other), "attributes": {"source": "test"}})
    elif index < pairs + clean:
      rows.append({"image": name})
    else:
      rows.append({"image": name, "label": prompt(word),
                   "attack": prompt(other)})
  path = folder / "examples.jsonl"
  path.write_text("".join(json.dumps(row) + "\n" for row in rows))
  return path
