#!/usr/bin/env bash
# Runs the tests that need a real cluster, on one worker; arguments go to pytest as they are. What
# takes minutes the first time happens here and is seen, before any test's time is counted.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/cluster.sh up >&2
scripts/cluster.sh build-images
scripts/cluster.sh load-images
tests/cluster/tools/get foreign-kinds
exec .venv/bin/python -m pytest tests/cluster --timeout 600 "$@"
