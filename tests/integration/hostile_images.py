"""Picture files that a server must refuse by their headers."""

import struct
import zlib

import pictures


def png_chunk(kind, data):
  body = kind + data
  return struct.pack(">I", len(data)) + body + struct.pack(
      ">I", zlib.crc32(body))


def png(width, height, extra=b"", data=b"x"):
  """A PNG whose header says width × height; the pixels are not there."""
  header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
  return (b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + extra +
          png_chunk(b"IDAT", data) + png_chunk(b"IEND", b""))


def jpeg(scans):
  """A progressive JPEG of 8 × 8 pixels with that many scans."""
  frame = b"\xff\xc2" + struct.pack(">HBHHB", 11, 8, 8, 8, 1) + b"\x01\x11\x00"
  scan = b"\xff\xda" + struct.pack(">HB", 8, 1) + b"\x01\x00\x00\x3f\x00" + b"\0"
  return b"\xff\xd8" + frame + scan * scans + b"\xff\xd9"


GOOD = pictures.blob(1)

# Refused when they are uploaded, and in an inference call.
REFUSED = {
    "empty": b"",
    "random": bytes((i * 37 + 11) % 256 for i in range(1000)),
    "magic_does_not_match": b"\x89PNG\r\n\x1a\n" + b"\xff\xd8\xff\xe0" * 20,
    "gif": b"GIF89a\x01\x00\x01\x00\x00\x00\x00;",
    "svg": b'<svg xmlns="http://www.w3.org/2000/svg"/>',
    "tiff": b"II*\x00\x08\x00\x00\x00" + b"\0" * 32,
    "heic": b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic",
    "bmp": b"BM" + b"\0" * 60,
    "side_0": png(0, 8),
    "side_16385": png(16385, 8),
    "30000_x_30000_of_100_kb": png(30000, 30000, data=b"x" * 100_000),
    "more_than_50_million_pixels": png(7072, 7072),
    "more_than_20_mib": png(8, 8, data=b"x" * (20 << 20)),
    "jpeg_of_1000_scans": jpeg(1000),
    "jpeg_of_101_scans": jpeg(101),
    "png_with_8_mb_of_text": png(8, 8, extra=png_chunk(
        b"tEXt", b"c\0" + b"x" * 8_000_000)),
}

# The same at the limit: headers that pass; pixels are another matter.
AT_THE_LIMIT = {
    "side_16384": png(16384, 8),
    "50_million_pixels": png(7071, 7071),
    "100_scans": jpeg(100),
}
