#!/usr/bin/env bash
# Builds what the tests need and runs them; ends with ctest's closing lines.
#
#   tests/run.sh [--sanitize] [--long] [--fuzz SECONDS] [ctest arguments …]
#   tests/run.sh --parity [pytest arguments …]
#
#   --sanitize   also everything that does not link LibTorch under
#                AddressSanitizer + UndefinedBehaviorSanitizer and under
#                ThreadSanitizer
#   --long       the long forms: more rounds of what is tried at random, and
#                the faults with the published constants (hours)
#   --fuzz SECONDS
#                instead: each program of tests/fuzz for SECONDS under libFuzzer
#                (clang 14), beginning with the committed corpus; what it finds
#                is left in build/fuzz/found
#   --parity     instead, compares with transformers, open_clip and tokenizers
#                themselves (tests/parity), in a Python environment that is
#                made for it: 3 GB of packages, once. With ATTUNE_CLIP_WEIGHTS
#                naming OpenAI's ViT-B-32.pt, its golden embeddings too.
#
# ATTUNE_CACHE_DIR (default ~/.cache/attune) keeps downloads, the Python
# environment and, through ccache, compiler output between clean checkouts.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
export ATTUNE_CACHE_DIR=${ATTUNE_CACHE_DIR:-${HOME:-/root}/.cache/attune}

sanitize=0
fuzz_seconds=0
parity=0
arguments=()
while [ $# -gt 0 ]; do
  argument=$1
  shift
  case "$argument" in
    --sanitize) sanitize=1 ;;
    --long) export ATTUNE_LONG_TESTS=1 ;;
    --fuzz) fuzz_seconds=$1; shift ;;
    --parity) parity=1 ;;
    -h | --help) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0"; exit 0 ;;
    *) arguments+=("$argument") ;;
  esac
done

deploy/install_dependencies.sh --tests

if [ "$parity" = 1 ]; then
  python=$("$root/tests/integration/make_python_environment.sh" \
    "$root/tests/parity/requirements.txt")
  cmake --preset dev >/dev/null
  cmake --build --preset dev --target attune attune-server attune-convert \
    clip_probe test_common_text
  PYTHONDONTWRITEBYTECODE=1 exec "$python" -m pytest -q -rs \
    -p no:cacheprovider tests/parity "${arguments[@]}"
fi

# The Python client of tests/integration, made from the protos.
python=$("$root/tests/integration/make_python_environment.sh")

build_and_test() {
  local preset=$1
  shift
  cmake --preset "$preset" -DATTUNE_TEST_PYTHON="$python" >/dev/null
  cmake --build --preset "$preset"
  ctest --test-dir "build/$preset" --output-on-failure --parallel 2 "$@"
}

if [ "$fuzz_seconds" != 0 ]; then
  cmake --preset fuzz >/dev/null
  programs=$(cd tests/fuzz/corpus && ls)
  # shellcheck disable=SC2086
  cmake --build --preset fuzz --target $(printf 'fuzz_%s ' $programs)
  mkdir -p build/fuzz/found
  failed=0
  for program in $programs; do
    # New inputs go to a folder of their own, which the next run begins with.
    mkdir -p "build/fuzz/corpus/$program"
    echo "fuzz_$program for $fuzz_seconds s"
    "build/fuzz/tests/fuzz_$program" -max_total_time="$fuzz_seconds" \
      -timeout=20 -rss_limit_mb=2048 -print_final_stats=1 -verbosity=0 \
      -artifact_prefix="build/fuzz/found/$program-" \
      "build/fuzz/corpus/$program" "tests/fuzz/corpus/$program" || failed=1
  done
  exit $failed
fi

if [ "$sanitize" = 1 ]; then
  export ASAN_OPTIONS=detect_leaks=1:abort_on_error=1
  export UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1
  export TSAN_OPTIONS=halt_on_error=1:suppressions=$root/tests/tsan.suppressions
  build_and_test asan "${arguments[@]}"
  build_and_test tsan "${arguments[@]}"
fi
build_and_test dev "${arguments[@]}"
