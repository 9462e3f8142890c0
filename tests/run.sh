#!/usr/bin/env bash
# Builds what the tests need and runs them; ends with ctest's closing lines.
#
#   tests/run.sh [--sanitize] [ctest arguments …]
#
#   --sanitize   also everything that does not link LibTorch under
#                AddressSanitizer + UndefinedBehaviorSanitizer and under
#                ThreadSanitizer
#
# ATTUNE_CACHE_DIR (default ~/.cache/attune) keeps downloads, the Python
# environment and, through ccache, compiler output between clean checkouts.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
export ATTUNE_CACHE_DIR=${ATTUNE_CACHE_DIR:-${HOME:-/root}/.cache/attune}

sanitize=0
arguments=()
for argument in "$@"; do
  case "$argument" in
    --sanitize) sanitize=1 ;;
    -h | --help) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0"; exit 0 ;;
    *) arguments+=("$argument") ;;
  esac
done

deploy/install_dependencies.sh --tests

# The Python client of tests/integration, made from the protos.
python=$("$root/tests/integration/make_python_environment.sh")

build_and_test() {
  local preset=$1
  shift
  cmake --preset "$preset" -DATTUNE_TEST_PYTHON="$python" >/dev/null
  cmake --build --preset "$preset"
  ctest --test-dir "build/$preset" --output-on-failure --parallel 2 "$@"
}

if [ "$sanitize" = 1 ]; then
  export ASAN_OPTIONS=detect_leaks=1:abort_on_error=1
  export UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1
  export TSAN_OPTIONS=halt_on_error=1:suppressions=$root/tests/tsan.suppressions
  build_and_test asan "${arguments[@]}"
  build_and_test tsan "${arguments[@]}"
fi
build_and_test dev "${arguments[@]}"
