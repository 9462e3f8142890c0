"""Writes the committed corpus: small inputs that begin every fuzz run.

Run it in the repository's root after a change; it makes its files from
nothing but what stands here.
"""

import json
import pathlib
import struct
import zlib

ROOT = pathlib.Path(__file__).resolve().parent / "corpus"


def write(program, name, data):
  folder = ROOT / program
  folder.mkdir(parents=True, exist_ok=True)
  (folder / name).write_bytes(data)


def safetensors(header, data=b""):
  text = header if isinstance(header, bytes) else json.dumps(header).encode()
  return struct.pack("<Q", len(text)) + text + data


def tensor(shape, begin, end):
  return {"dtype": "F32", "shape": shape, "data_offsets": [begin, end]}


def png(width, height):
  def chunk(kind, data):
    crc = struct.pack(">I", zlib.crc32(kind + data))
    return struct.pack(">I", len(data)) + kind + data + crc

  header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
  return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) +
          chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b""))


def riff(kind, data):
  return (b"RIFF" + struct.pack("<I", len(data) + 12) + b"WEBP" + kind +
          struct.pack("<I", len(data)) + data)


def varint(number):
  number &= (1 << 64) - 1
  out = b""
  while number > 127:
    out += bytes([number & 127 | 128])
    number >>= 7
  return out + bytes([number])


def proto(*fields):
  """A message of (number, value) fields: integers, or bytes and text."""
  out = b""
  for number, value in fields:
    if isinstance(value, int):
      out += bytes([number << 3]) + varint(value)
    else:
      data = value if isinstance(value, bytes) else value.encode()
      out += bytes([number << 3 | 2]) + varint(len(data)) + data
  return out


def write_safetensors():
  files = {
      "empty": b"",
      "one_tensor": safetensors({"a": tensor([2], 0, 8)}, bytes(8)),
      "metadata": safetensors(
          {"__metadata__": {"activation": "gelu"},
           "logit_scale": tensor([], 0, 4)}, bytes(4)),
      "hole": safetensors({"a": tensor([1], 4, 8)}, bytes(8)),
      "overlap": safetensors(
          {"a": tensor([2], 0, 8), "b": tensor([2], 4, 12)}, bytes(12)),
      "overflow": safetensors({"a": tensor([2**63 - 1, 3], 0, 8)}, bytes(8)),
      "long_header": struct.pack("<Q", 1 << 63) + b"{}",
      "not_json": safetensors(b"[[[[["),
      "pickle": b"\x80\x02}q\x00.",
      "zip": b"PK\x03\x04" + bytes(30),
  }
  for name, data in files.items():
    write("safetensors", name, data)


def write_images():
  jpeg = (b"\xff\xd8\xff\xe0\0\x10JFIF\0\x01\x01\0\0\x01\0\x01\0\0"
          b"\xff\xc0\0\x11\x08\0\x08\0\x08\x03\x01\x22\0\x02\x11\0\x03\x11\0"
          b"\xff\xda\0\x0c\x03\x01\0\x02\0\x03\0\0\x3f\0" + b"\x12" * 20 +
          b"\xff\xd9")
  files = {
      "empty": b"",
      "png": png(4, 4),
      "png_large": png(30000, 30000),
      "png_zero": png(0, 4),
      "png_cut": png(4, 4)[:20],
      "jpeg": jpeg,
      "jpeg_cut": jpeg[:30],
      "jpeg_lossless": jpeg.replace(b"\xff\xc0", b"\xff\xc3"),
      "webp_lossy": riff(
          b"VP8 ", b"\x10\0\0\x9d\x01\x2a\x08\0\x08\0" + bytes(8)),
      "webp_lossless": riff(b"VP8L", b"\x2f\x07\xc0\x01\0" + bytes(7)),
      "webp_extended": riff(b"VP8X", b"\x02\0\0\0\x07\0\0\x07\0\0"),
      "gif": b"GIF89a\x01\0\x01\0",
      "svg": b'<svg xmlns="x"/>',
  }
  for name, data in files.items():
    write("image", name, data)


def write_texts():
  texts = {
      "plain": "a photo of a dog.",
      "empty": "",
      "special": "<|startoftext|>a<|endoftext|>",
      "accents": "Füchse über Zäune, ½ × ∞",
      "emoji": "👩\u200d👩\u200d👧 🏳️\u200d🌈",
      "cjk": "猫の写真",
      "spaces": " \t\n\u00a0\u3000 x",
      "apostrophes": "it's they're we'd I'll o'clock",
      "long_word": "a" * 2000,
      "digits": "1234567890 ²³ Ⅷ",
  }
  for name, text in texts.items():
    write("tokenizer", name, text.encode())
  write("tokenizer", "not_utf8", b"\xff\xfe\xc0\x80 a \xed\xa0\x80")
  for name, data in {"empty": b"", "word": b"forged", "zeros": bytes(16),
                     "base64": b"A" * 20, "high": b"\xff" * 40}.items():
    write("page_token", name, data)


def write_requests():
  """The first byte chooses the call; more of them than there are."""
  uuid = "123e4567-e89b-42d3-a456-426614174000"
  bodies = {
      "empty": b"",
      "name": proto((1, "rta")),
      "name_and_id": proto((1, "rta"), (2, uuid), (3, uuid)),
      "path": proto((1, "../x")),
      "nul": proto((1, b"a\0b")),
      "page": proto((1, -1), (2, "forged")),
      "large_page": proto((1, 10**9)),
      "not_utf8": proto((1, b"\xff\xfe")),
      "cut": b"\x0a\x7fabc",
      "group": b"\x0b\x0c",
  }
  for name, body in bodies.items():
    write("rpc", name, b"".join(
        bytes([call]) + varint(len(body)) + body for call in range(48)))


def write_sequences():
  """Steps of two bytes; see sequence_fuzz.cc."""
  sequences = {
      "life_of_a_job": [0, 0, 1, 0, 1, 1, 2, 0, 6, 0, 7, 1, 5, 0, 6, 1, 10, 0,
                        8, 10, 7, 1, 8, 40, 13, 1, 9, 0, 3, 0],
      "invalid_dataset": [0, 1, 1, 1, 2, 1, 6, 0, 7, 0, 4, 1, 6, 1, 7, 1, 5, 1,
                          3, 1],
      "stale_worker": [0, 0, 1, 0, 2, 0, 6, 0, 8, 63, 8, 63, 6, 1, 10, 0, 7, 1,
                       7, 0, 10, 1],
      "cancelled": [0, 0, 1, 0, 2, 0, 6, 0, 7, 1, 5, 0, 5, 0, 9, 0, 9, 1, 6, 0,
                    9, 0, 9, 1, 13, 5, 3, 0],
      "delete_while_validating": [0, 2, 1, 2, 2, 2, 3, 2, 6, 0, 3, 2, 7, 2, 3,
                                  2],
  }
  for name, steps in sequences.items():
    write("sequence", name, bytes(steps))


if __name__ == "__main__":
  write_safetensors()
  write_images()
  write_texts()
  write_requests()
  write_sequences()
