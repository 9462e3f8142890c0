#!/usr/bin/env bash
# Every C++ file is as clang-format with the repository's .clang-format makes
# it. Prints each difference's file and line.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
find client common proto server storage tests worker \
  \( -name '*.h' -o -name '*.cc' -o -name '*.cu' \) -print0 |
  xargs -0 clang-format --dry-run --Werror
