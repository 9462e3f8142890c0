#!/usr/bin/env python3
"""Decoding + resizing against Pillow, tokenising against transformers.

    pip install pillow==12.3.0 transformers==5.23.0 tokenizers==0.23.3
    text_image_reference.py --program build/bench/benchmarks/text_image_benchmark
        --images FOLDER... [--vocabulary FILE.txt.gz] [--json FILE]

Runs the two sides in turn on one core, the files in memory, and compares the
medians of their CPU seconds a pass. Writes a list of {name, value, unit,
peer_value, ratio, …}; a ratio above 1 means that ours is faster.
"""

import argparse
import io
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

ROUNDS = 5
SIZE = 224


def run(program, *arguments):
    command = [program, *map(str, arguments)]
    result = subprocess.run(command, check=True, capture_output=True, text=True)
    return [float(line) for line in result.stdout.split()]


def timed(work):
    start = time.process_time()
    work()
    return time.process_time() - start


def row(name, ours, peer, count):
    value, peer_value = statistics.median(ours) / count, statistics.median(peer) / count
    return {
        "name": name, "value": value * 1e6, "unit": "us",
        "peer_value": peer_value * 1e6, "ratio": peer_value / value,
        "flops_per_second": None, "threads": 1, "precision": "uint8",
    }  # fmt: skip


def pillow_preprocess(data):
    from PIL import Image

    image = Image.open(io.BytesIO(data)).convert("RGB")
    width, height = image.size
    short, long = min(width, height), max(width, height)
    new_long = int(SIZE * long / short)
    new = (SIZE, new_long) if width <= height else (new_long, SIZE)
    if new != image.size:
        image = image.resize(new, Image.Resampling.BICUBIC)
    left = int(round((new[0] - SIZE) / 2.0))
    top = int(round((new[1] - SIZE) / 2.0))
    return image.crop((left, top, left + SIZE, top + SIZE)).tobytes()


def decode_resize(program, folder):
    kinds = (".jpg", ".jpeg", ".png", ".webp")
    paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in kinds)
    files = [path.read_bytes() for path in paths]
    ours, peer = [], []
    for _ in range(ROUNDS):
        ours += run(program, "decode_resize", SIZE, 3, *paths)
        for _ in range(3):
            peer.append(timed(lambda: [pillow_preprocess(f) for f in files]))
    return row(f"decode_resize_{folder.name}", ours, peer, len(files))


def tokenize(program, vocabulary):
    sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "golden"))
    import generate_tokens

    reference = generate_tokens.reference(vocabulary).backend_tokenizer
    classes = ["tabby cat", "golden retriever", "container ship", "espresso",
               "acoustic guitar", "hair dryer", "Granny Smith", "jack-o'-lantern",
               "school bus", "ptarmigan", "traffic light", "café au lait"]  # fmt: skip
    templates = ["a photo of a {}.", "a blurry photo of the {}.",
                 "itap of my {}.", "a {} in a video game, not a picture!"]  # fmt: skip
    texts = [t.format(c) for c in classes for t in templates] * 50
    ours, peer = [], []
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write("\n".join(texts))
        file.flush()
        for _ in range(ROUNDS):
            ours += run(program, "tokenize", 3, file.name)
            for _ in range(3):
                peer.append(
                    timed(lambda: [reference.encode(text).ids for text in texts])
                )
    return row("tokenize", ours, peer, len(texts))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--program", required=True)
    parser.add_argument("--images", type=pathlib.Path, nargs="*", default=[])
    parser.add_argument("--vocabulary")
    parser.add_argument("--json")
    arguments = parser.parse_args()
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    rows = [decode_resize(arguments.program, f) for f in arguments.images]
    if arguments.vocabulary:
        rows.append(tokenize(arguments.program, arguments.vocabulary))
    if arguments.json:
        pathlib.Path(arguments.json).write_text(json.dumps(rows, indent=1))
        return
    for entry in rows:
        print("{name:28} {value:10.1f} {unit}  reference {peer_value:10.1f}"
              "  {ratio:5.2f} x".format(**entry))  # fmt: skip


if __name__ == "__main__":
    main()
