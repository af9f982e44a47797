#!/usr/bin/env bash
# Prints the path of a Chromium for the browser tests; installs Debian's when there is none.
set -euo pipefail
cd "$(dirname "$0")/.."

find_chromium() {
    for name in chromium chromium-browser google-chrome google-chrome-stable; do
        command -v "$name" && return
    done
    return 1
}

if [ -n "${MEDXAMION_CHROMIUM:-}" ]; then
    [ -x "$MEDXAMION_CHROMIUM" ] && echo "$MEDXAMION_CHROMIUM" && exit
    echo "MEDXAMION_CHROMIUM names $MEDXAMION_CHROMIUM, which is no program." >&2
    exit 1
fi
find_chromium && exit
if ! scripts/debian.sh chromium fonts-dejavu-core; then
    echo "A browser elsewhere will do, too: MEDXAMION_CHROMIUM=/path/to/chromium" >&2
    exit 1
fi
find_chromium
