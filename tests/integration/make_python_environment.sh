#!/usr/bin/env bash
# Makes a Python environment for tests, once for each content of its
# requirements, and prints its interpreter's path.
#
#   make_python_environment.sh [REQUIREMENTS]
#
# REQUIREMENTS is a file of pinned packages; default: those of the integration
# tests.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
requirements=${1:-$here/requirements.txt}
cache=${ATTUNE_CACHE_DIR:-${HOME:-/root}/.cache/attune}
digest=$(sha256sum "$requirements" | cut -c1-12)
environment=$cache/python-$digest
if [ ! -e "$environment/.complete" ]; then
  rm -rf "$environment"
  python3 -m venv "$environment" >&2
  "$environment/bin/pip" install --quiet --disable-pip-version-check \
    --requirement "$requirements" >&2
  touch "$environment/.complete"
fi
printf '%s\n' "$environment/bin/python"
