#!/usr/bin/env bash
# Runs the demo on every CSV of the folder that MEDXAMION_SAMPLE_DATA names.
set -euo pipefail
cd "$(dirname "$0")/.."

folder=${MEDXAMION_SAMPLE_DATA:-}
if [ -z "$folder" ]; then
    echo "Name a folder of exam CSV files: make demo-samples MEDXAMION_SAMPLE_DATA=folder" >&2
    exit 2
fi
if [ ! -d "$folder" ]; then
    echo "MEDXAMION_SAMPLE_DATA names $folder, and there is no such folder." >&2
    exit 2
fi
exec .venv/bin/python -m examctl demo-samples "$folder" "$@"
