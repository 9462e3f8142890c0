#!/usr/bin/env bash
# Times Attune beside the Python programs that it is compared with, in turns on
# the same cores, and prints a table.
#
#   tests/benchmarks/run.sh [--only NAME]… [--json FILE] [--quick]
#
#   --only NAME   one row; may be repeated: published_step, published_step_77,
#                 frozen_text_step, last_2_step, zero_shot_texts,
#                 embed_image_32, optimizer_pass, decode_resize, tokenize,
#                 peak_memory
#   --json FILE   writes the rows instead: a list of {name, value, unit,
#                 peer_value, ratio, flops_per_second, threads, precision};
#                 a ratio above 1 means that ours is faster (or smaller)
#   --quick       a very small model and few rounds: whether it runs, not how
#                 fast
#
# The machine should do nothing else. ATTUNE_THREADS (default: all cores) says
# how many threads either side uses. decode_resize reads the photos of
# ATTUNE_SHARED_DATA and is left out where there are none.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
cd "$root"
export ATTUNE_CACHE_DIR=${ATTUNE_CACHE_DIR:-${HOME:-/root}/.cache/attune}
case "${1:-}" in
  -h | --help) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0"; exit 0 ;;
esac

deploy/install_dependencies.sh --tests >&2
python=$(tests/integration/make_python_environment.sh \
  tests/parity/requirements.txt)
cmake --preset bench >/dev/null
cmake --build --preset bench --target step_benchmark text_image_benchmark \
  attune-convert >&2
exec env PYTHONDONTWRITEBYTECODE=1 "$python" tests/benchmarks/compare.py \
  --build build/bench "$@"
