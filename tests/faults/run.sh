#!/usr/bin/env bash
# Runs the fault tests on the binaries of build/dev and prints what they
# measured as one JSON object.
#
#   tests/faults/run.sh [--long] [--json FILE] [pytest arguments …]
#
#   --long       50 kill points, 1,000 random kills, 1,000 stale commits, and
#                the published constants where the short form uses shorter ones
#   --json FILE  also write the object there
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
status=0
"$python" -m pytest -q -rs -p no:cacheprovider "$here" "${arguments[@]}" ||
  status=$?
cat "$figures"
if [ -n "$json" ]; then cp "$figures" "$json"; fi
exit $status
