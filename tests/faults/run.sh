#!/usr/bin/env bash
# Runs the fault tests on the binaries of build/dev and prints everything that
# they measured as one JSON object.
#
#   tests/faults/run.sh [--long] [--json FILE] [pytest arguments …]
#
#   --long       200 kills of workers, 50 kill points, 1,000 random kills, 1,000
#                stale commits, and the published lease and times where the
#                short form has shorter ones
#   --json FILE  writes the figures of the contract there, as one object:
#                requeue_after_kill_max_s, requeue_after_crash_max_s, lost_jobs,
#                stale_commits, resumes_equal, resumes_tried, flips_found,
#                flips_tried, drain_max_s, memory_ratio_full_queue; null for
#                what the chosen tests do not measure
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
json=
arguments=()
while [ $# -gt 0 ]; do
  case "$1" in
    --long) export ATTUNE_LONG_TESTS=1 ;;
    --json) json=$2; shift ;;
    -h | --help) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0"; exit 0 ;;
    *) arguments+=("$1") ;;
  esac
  shift
done

python=$("$root/tests/integration/make_python_environment.sh")
figures=$(mktemp)
trap 'rm -f "$figures"' EXIT
echo '{}' >"$figures"
export ATTUNE_FAULTS_FIGURES=$figures
export ATTUNE_BINARIES=${ATTUNE_BINARIES:-$root/build/dev/bin}
export ATTUNE_STUBS=${ATTUNE_STUBS:-$root/build/stubs/faults}
export PYTHONDONTWRITEBYTECODE=1 OMP_NUM_THREADS=1
# Paths among the arguments choose tests; otherwise all run.
case " ${arguments[*]} " in
  *.py*) ;;
  *) arguments+=("$here") ;;
esac
status=0
"$python" -m pytest -q -rs -p no:cacheprovider "${arguments[@]}" || status=$?
cat "$figures"
if [ -n "$json" ]; then
  # Exactly these names, also when only some tests ran.
  "$python" - "$figures" "$json" <<'END'
import json
import sys

NAMES = ("requeue_after_kill_max_s", "requeue_after_crash_max_s", "lost_jobs",
         "stale_commits", "resumes_equal", "resumes_tried", "flips_found",
         "flips_tried", "drain_max_s", "memory_ratio_full_queue")
measured = json.load(open(sys.argv[1]))
with open(sys.argv[2], "w") as file:
  json.dump({name: measured.get(name) for name in NAMES}, file, indent=1)
  file.write("\n")
END
fi
exit $status
