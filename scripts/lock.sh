#!/usr/bin/env bash
# Recompiles requirements/*.lock from the .in files; pins stay unless `--upgrade` is passed.
# Each lock opens with a digest of its inputs, by which scripts/check_drift.py sees a stale one
# offline. No lock names an index, a folder or a download address.
set -euo pipefail
cd "$(dirname "$0")/.."

compile() {
    local name=$1
    shift
    .venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
        --exclude-newer "7 days" --no-header --no-emit-index-url --no-emit-find-links \
        "$@" \
        "requirements/$name.in" --output-file "requirements/$name.lock"
    .venv/bin/python scripts/check_drift.py --stamp "requirements/$name.lock"
}

compile bootstrap --no-annotate "$@"
compile cluster --no-annotate "$@"
# dev holds everything, so it decides; the components then take the versions that were tested.
compile dev --annotation-style line "$@"
for name in client coordinator operator; do
    compile "$name" "$@" --no-annotate --constraints requirements/dev.lock
done
