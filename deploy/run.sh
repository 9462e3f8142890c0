#!/usr/bin/env bash
# Attune's main job on this machine, from nothing to a result: installs what is
# missing, builds, starts a server and a worker, aligns a small CLIP against
# typographic attacks through the public API, and prints what changed.
#
#   deploy/run.sh [--keep] [attune demo's arguments …]
#
#   --keep   leaves the server and the worker running and prints the addresses
#
# What is installed and built is not done again. Uses a GPU where the machine
# has one. ATTUNE_CACHE_DIR (default ~/.cache/attune) keeps
# the downloads.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
export ATTUNE_CACHE_DIR=${ATTUNE_CACHE_DIR:-${HOME:-/root}/.cache/attune}

keep=0
demo=()
for argument in "$@"; do
  case "$argument" in
    --keep) keep=1 ;;
    -h | --help) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0"; exit 0 ;;
    *) demo+=("$argument") ;;
  esac
done

say() { printf '\n== %s\n' "$*"; }

preset=release
install=()
if [ -e /dev/nvidiactl ]; then
  preset=cuda
  install+=(--cuda)
fi

say "1/4 what the build needs"
deploy/install_dependencies.sh "${install[@]}"

say "2/4 build (preset $preset)"
cmake --preset "$preset" -DATTUNE_WITH_TESTS=OFF >/dev/null
cmake --build --preset "$preset"
binaries=$root/build/$preset/bin

say "3/4 server and worker"
work=$(mktemp -d "${TMPDIR:-/tmp}/attune-run.XXXXXX")
pids=()
stop() {
  for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
  for pid in "${pids[@]}"; do wait "$pid" 2>/dev/null || true; done
}
finish() {
  local code=$?
  if [ "$code" != 0 ]; then
    printf '\nfailed; the logs are in %s\n' "$work" >&2
    tail -n 20 "$work"/*.log >&2 || true
    stop
  elif [ "$keep" = 0 ]; then
    stop
    rm -rf "$work"
  fi
}
trap finish EXIT
trap 'exit 130' INT TERM

"$binaries/attune-server" --data-dir "$work/data" --listen 127.0.0.1:0 \
  --metrics 127.0.0.1:0 --address-file "$work/addresses" \
  >"$work/server.log" 2>&1 &
pids+=($!)
for _ in $(seq 100); do
  [ -s "$work/addresses" ] && break
  kill -0 "${pids[0]}" 2>/dev/null || { echo "the server ended" >&2; exit 1; }
  sleep 0.1
done
address=$(sed -n 's/^listen=//p' "$work/addresses")
metrics=$(sed -n 's/^metrics=//p' "$work/addresses")
"$binaries/attune-worker" --server "$address" --roles train,serve \
  --device auto >"$work/worker.log" 2>&1 &
pids+=($!)
echo "server on $address, metrics on http://$metrics/metrics, one worker"

say "4/4 the demo"
# The report outlives the server's folder.
case " ${demo[*]}" in
  *" --report"*) ;;
  *) demo+=(--report "$root/build/demo-report.html") ;;
esac
ATTUNE_SERVER=$address "$binaries/attune" demo "${demo[@]}"

if [ "$keep" = 1 ]; then
  say "left running"
  cat <<TXT
server   $address   (process ${pids[0]})
worker   process ${pids[1]}
metrics  http://$metrics/metrics
data     $work/data
logs     $work/server.log, $work/worker.log

  export ATTUNE_SERVER=$address
  $binaries/attune model list
  kill ${pids[*]}        # stops both
TXT
  disown -a
else
  stop
  say "server and worker are stopped"
fi
