"""Checks that every #include goes in a direction that the design allows.

A wrong edge between targets fails to link; this finds the ones that a header
alone would let through, and names the file and line.
"""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]

# Folder to the folders and libraries it may include; the longest matching
# prefix of the including file's path decides. A folder may include itself.
ALLOWED = {
    "common": {"absl", "std"},
    "common/text": {"common", "icu", "absl", "std"},
    "common/image": {"common", "codecs", "simd", "absl", "std"},
    "common/safetensors": {"common", "json", "absl", "std"},
    "common/grpc": {"common", "grpc", "proto", "cli", "absl", "std"},
    "common/statistics": {"absl", "std"},
    "storage": {"common", "absl", "std"},
    "storage/sqlite": {"storage", "common", "sqlite", "json", "absl", "std"},
    "server/core": {"storage", "common", "absl", "std", "log", "json"},
    "server/services": {
        "server/core", "server/metrics", "storage", "common", "proto", "grpc",
        "absl", "std", "log"
    },
    "server/metrics": {"server/core", "storage", "common", "prometheus",
                       "absl", "std"},
    "server": {
        "server", "storage", "common", "proto", "grpc", "prometheus", "cli",
        "absl", "std", "log", "json"
    },
    "worker/model": {"common", "torch", "simd", "absl", "std"},
    "worker/objective": {"common", "torch", "absl", "std"},
    "worker/train": {"worker/model", "worker/objective", "common", "torch",
                     "simd", "json", "absl", "std"},
    "worker/evaluate": {"worker/model", "common", "torch", "absl", "std"},
    "worker/convert": {"worker/model", "common", "torch", "cli", "json", "log",
                       "absl", "std"},
    "worker": {
        "worker", "common", "proto", "grpc", "torch", "cli", "json", "log",
        "absl", "std"
    },
    "client": {
        "client", "common", "proto", "grpc", "cli", "json", "log", "freetype",
        "absl", "std"
    },
}

LIBRARIES = [
    ("absl", r"absl/"),
    ("grpc", r"grpc(pp)?/|google/"),
    ("proto", r"attune/v1/"),
    ("torch", r"torch/|ATen/|c10/|caffe2/|ATen\.h"),
    ("sqlite", r"SQLiteCpp/|sqlite3\.h"),
    ("prometheus", r"prometheus/"),
    ("json", r"nlohmann/"),
    ("cli", r"CLI/"),
    ("log", r"spdlog/|fmt/"),
    ("icu", r"unicode/"),
    ("codecs", r"jpeglib|png\.h|webp/|jerror"),
    ("simd", r"hwy/"),
    ("freetype", r"ft2build|freetype/|FT_|fontconfig/|raqm\.h"),
]
OURS = re.compile(
    r"(common|storage|server|worker|client|tests)/[\w/]+\.(h|inc)$")
# Plain C and system headers are everybody's; so are those of common's users.
EVERYBODY = {"icu": ("common",), "openssl": ("common",)}


def library_of(include):
  for name, pattern in LIBRARIES:
    if re.match(pattern, include):
      return name
  return "std"


def rule_of(path):
  folder = path.parent.as_posix()
  while folder not in ALLOWED:
    if "/" not in folder:
      return None
    folder = folder.rsplit("/", 1)[0]
  return folder


def is_allowed(rule, include):
  allowed = ALLOWED[rule]
  if OURS.match(include):
    folder = include.rsplit("/", 1)[0]
    if folder == rule or folder.startswith(rule + "/"):
      return True
    return any(folder == a or folder.startswith(a + "/") for a in allowed)
  library = library_of(include)
  return library in allowed or rule.split("/")[0] in EVERYBODY.get(library, ())


def main():
  errors = []
  files = 0
  for top in ("common", "storage", "server", "worker", "client"):
    for path in sorted((ROOT / top).rglob("*")):
      if path.suffix not in (".h", ".cc", ".cu"):
        continue
      files += 1
      relative = path.relative_to(ROOT)
      rule = rule_of(relative)
      for number, line in enumerate(path.read_text().splitlines(), 1):
        found = re.match(r'\s*#\s*include\s*[<"]([^>"]+)[>"]', line)
        if found and not is_allowed(rule, found.group(1)):
          errors.append(f"{relative}:{number}: {rule} may not include "
                        f"{found.group(1)}")
  for error in errors:
    print(error)
  print(f"layering: {files} files, {len(errors)} wrong includes")
  return 1 if errors or files == 0 else 0


if __name__ == "__main__":
  sys.exit(main())
