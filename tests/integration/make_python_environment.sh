#!/usr/bin/env bash
# Makes the Python environment of the integration tests, once for each content
# of requirements.txt, and prints its interpreter's path.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${ATTUNE_CACHE_DIR:-${HOME:-/root}/.cache/attune}
digest=$(sha256sum "$here/requirements.txt" | cut -c1-12)
environment=$cache/python-$digest
if [ ! -e "$environment/.complete" ]; then
  rm -rf "$environment"
  python3 -m venv "$environment" >&2
  "$environment/bin/pip" install --quiet --disable-pip-version-check \
    --requirement "$here/requirements.txt" >&2
  touch "$environment/.complete"
fi
printf '%s\n' "$environment/bin/python"
