#!/usr/bin/env bash
# Prints the Debian packages whose shared libraries the given binaries load, so
# that an image installs exactly those and the list is never out of date.
set -euo pipefail
ldd "$@" | awk '$2 == "=>" && $3 ~ /^\// {print $3}' | sort -u |
  while read -r library; do
    dpkg -S "$(realpath "$library")" 2>/dev/null || true
  done | cut -d: -f1 | sort -u
