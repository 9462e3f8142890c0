#!/usr/bin/env python3
"""Tokens of random Unicode strings from the reference tokenizer.

    pip install transformers==5.23.0 tokenizers==0.23.3
    generate_tokens.py VOCABULARY.txt.gz [--count 100000] > vectors.jsonl

Then `ATTUNE_TOKEN_VECTORS=vectors.jsonl test_common_text` compares. The
strings hold every code point that Unicode 15.0 assigns at least once, among
letters, and --count random mixtures of scripts, spaces, combining marks,
contractions and special tokens. Code points that Unicode 15.1 and later
assign are left out: the libraries' tables differ there.
"""

import argparse
import gzip
import json
import random
import sys
import unicodedata


def reference(vocabulary):
    from transformers import CLIPTokenizer

    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    characters = [chr(byte) for byte in printable]
    characters += [chr(256 + n) for n in range(256 - len(printable))]
    lines = gzip.open(vocabulary).read().decode().split("\n")
    merges = [tuple(line.split()) for line in lines[1 : 48894 + 1]]
    tokens = characters + [c + "</w>" for c in characters]
    tokens += ["".join(merge) for merge in merges]
    tokens += ["<|startoftext|>", "<|endoftext|>"]
    ids = {token: i for i, token in enumerate(tokens)}
    return CLIPTokenizer(vocab=ids, merges=merges)


def assigned():
    """Code points of Unicode up to 15.0 with their general category."""
    for code in range(0x110000):
        category = unicodedata.category(chr(code))
        if category in ("Cs", "Co", "Cn"):
            continue
        yield code


def texts(count):
    codes = list(assigned())
    for start in range(0, len(codes), 16):
        yield "".join(f"aA{chr(code)}B1'" for code in codes[start : start + 16])
    generator = random.Random(20241108)
    blocks = [
        range(0x20, 0x7F), range(0, 0x100), range(0x100, 0x250),
        range(0x300, 0x370), range(0x370, 0x530), range(0x590, 0x700),
        range(0x900, 0xE00), range(0x1E00, 0x2070), range(0x2070, 0x2C00),
        range(0x3000, 0x3400), range(0x4E00, 0x4F00), range(0xAC00, 0xAE00),
        range(0xFB00, 0xFFFE), range(0x1F000, 0x1FB00), range(0x10400, 0x10500),
    ]
    known = set(codes)
    blocks = [[c for c in block if c in known] for block in blocks]
    pieces = ["'s", "'LL", "'d", "<|endoftext|>", "<|StartOfText|>", "<|", "  ",
              "\t\n", "photo", "Dog", "e\u0301", "\u0130", "\u03a3", "123"]
    for _ in range(count):
        text = []
        block = generator.choice(blocks)
        for _ in range(generator.randint(0, 24)):
            if generator.random() < 0.15:
                block = generator.choice(blocks)
            if generator.random() < 0.15:
                text.append(generator.choice(pieces))
            else:
                text.append(chr(generator.choice(block)))
        yield "".join(text)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("vocabulary")
    parser.add_argument("--count", type=int, default=100000)
    arguments = parser.parse_args()
    if unicodedata.unidata_version > "15.0.0":
        sys.exit("run with Python 3.12 or older: its Unicode tables are 15.0")
    tokenizer = reference(arguments.vocabulary)
    for text in texts(arguments.count):
        ids = tokenizer(text)["input_ids"]
        print(json.dumps({"text": text, "ids": ids}, separators=(",", ":")))


if __name__ == "__main__":
    main()
