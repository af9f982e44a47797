#!/usr/bin/env bash
# The fast gate: everything that can be said about the code without running it.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$PWD/.venv/bin:$PATH"

ruff format --check --quiet .
ruff check --quiet .
mypy
lint-imports --no-logo
python scripts/check_drift.py
python scripts/generate_crd.py --check
echo "check: all well"
