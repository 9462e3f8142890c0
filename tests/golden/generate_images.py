#!/usr/bin/env python3
"""Golden values of image decoding and resizing, from Pillow.

Called by generate.py.

Writes beside itself images/* (small files in every kind of pixel that is
accepted), images.json (the SHA-256 of the RGB bytes Pillow decodes) and
resize.json (the SHA-256 of resized and cropped bytes of pictures that
synthetic_image.h makes by the same formula). Pillow 13.0 filters some tall
pictures vertically first, which changes bytes; up to 12.3, as here and in the
published models' preprocessing, the horizontal pass is always first.
"""

import hashlib
import json
import pathlib
import struct
import zlib

import numpy
from PIL import Image

HERE = pathlib.Path(__file__).resolve().parent


def picture(width, height):
    """Integers only, so that C++ makes the same bytes."""
    y, x, channel = numpy.mgrid[0:height, 0:width, 0:3].astype(numpy.int64)
    value = x * x + 3 * y * y + x * y * (channel + 1) + 300 * channel
    return Image.fromarray(((value >> 3) & 255).astype(numpy.uint8))


def sha256(image):
    return hashlib.sha256(image.tobytes()).hexdigest()


def png_chunk(kind, data):
    checksum = zlib.crc32(kind + data)
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)


def deep_png(width, height, colour_type, values):
    """A PNG of 16 bits a sample, which Pillow does not write."""
    header = struct.pack(">IIBBBBB", width, height, 16, colour_type, 0, 0, 0)
    rows = values.astype(">u2").reshape(height, -1)
    data = b"".join(b"\0" + row.tobytes() for row in rows)
    return (
        b"\x89PNG\r\n\x1a\n"
        + png_chunk(b"IHDR", header)
        + png_chunk(b"IDAT", zlib.compress(data))
        + png_chunk(b"IEND", b"")
    )


def write_files():
    rgb = picture(19, 13)
    grey = rgb.convert("L")
    alpha = rgb.getchannel(2)
    rgba = Image.merge("RGBA", (*rgb.split(), alpha))
    palette = rgb.convert("P", palette=Image.Palette.ADAPTIVE, colors=40)
    few = rgb.convert("P", palette=Image.Palette.ADAPTIVE, colors=4)
    images = {
        "rgb.png": (rgb, {}),
        "grey.png": (grey, {}),
        "black_and_white.png": (grey.convert("1"), {}),
        "grey_alpha.png": (Image.merge("LA", (grey, alpha)), {}),
        "rgb_alpha.png": (rgba, {}),
        "palette.png": (palette, {}),
        "palette_transparent.png": (palette, {"transparency": 3}),
        "palette_2_bit.png": (few, {"bits": 2}),
        "palette_4_bit.png": (few, {"bits": 4}),
        "rgb_transparent_colour.png": (rgb, {"transparency": (1, 2, 3)}),
        "ycc_444.jpg": (rgb, {"quality": 80, "subsampling": 0}),
        "ycc_422.jpg": (rgb, {"quality": 80, "subsampling": 1}),
        "ycc_420.jpg": (rgb, {"quality": 80, "subsampling": 2}),
        "progressive.jpg": (rgb, {"quality": 80, "progressive": True}),
        "rgb.jpg": (rgb, {"quality": 80, "keep_rgb": True}),
        "grey.jpg": (grey, {"quality": 80}),
        "cmyk.jpg": (rgb.convert("CMYK"), {"quality": 80}),
        "lossy.webp": (rgb, {"quality": 70}),
        "lossless.webp": (rgb, {"lossless": True}),
        "lossy_alpha.webp": (rgba, {"quality": 70}),
        "lossless_alpha.webp": (rgba, {"lossless": True, "exact": True}),
    }
    folder = HERE / "images"
    folder.mkdir(exist_ok=True)
    for name, (image, options) in images.items():
        image.save(folder / name, **options)

    # The same CMYK samples, declared to be YCCK.
    cmyk = (folder / "cmyk.jpg").read_bytes()
    adobe = cmyk.index(b"Adobe")
    assert cmyk[adobe + 11] == 0
    ycck = cmyk[: adobe + 11] + b"\2" + cmyk[adobe + 12 :]
    (folder / "ycck.jpg").write_bytes(ycck)

    samples = numpy.arange(19 * 13 * 3) * 181 % 65536
    deep = deep_png(19, 13, 2, samples)
    (folder / "rgb_16_bit.png").write_bytes(deep)

    golden = []
    for path in sorted(folder.iterdir()):
        image = Image.open(path).convert("RGB")
        golden.append({"file": path.name, "sha256": sha256(image)})
    (HERE / "images.json").write_text(json.dumps(golden, indent=1) + "\n")


def preprocess(image, size):
    """torchvision's Resize(size, BICUBIC) and CenterCrop(size)."""
    width, height = image.size
    short, long = min(width, height), max(width, height)
    new_long = int(size * long / short)
    new = (size, new_long) if width <= height else (new_long, size)
    if new != image.size:
        image = image.resize(new, Image.Resampling.BICUBIC)
    left = int(round((new[0] - size) / 2.0))
    top = int(round((new[1] - size) / 2.0))
    return image.crop((left, top, left + size, top + size))


def write_resizes():
    golden = []
    for width, height, size in [
        (1, 1, 7), (1, 40, 5), (40, 1, 5), (2, 3, 224), (224, 224, 224),
        (224, 300, 224), (301, 224, 224), (225, 224, 224), (640, 480, 224),
        (481, 640, 224), (512, 512, 224), (1023, 333, 224), (100, 224, 97),
        (150, 101, 224), (1600, 1203, 224), (640, 480, 336), (37, 1001, 32),
        (3000, 17, 16), (997, 1013, 33),
    ]:  # fmt: skip
        digest = sha256(preprocess(picture(width, height), size))
        golden.append(
            {"width": width, "height": height, "size": size, "sha256": digest}
        )
    lines = ",\n".join(" " + json.dumps(row) for row in golden)
    (HERE / "resize.json").write_text(f"[\n{lines}\n]\n")


if __name__ == "__main__":
    write_files()
    write_resizes()
