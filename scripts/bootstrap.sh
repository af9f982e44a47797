#!/usr/bin/env bash
# Makes .venv hold exactly what requirements/dev.lock says, starting from a bare Python >= 3.11.
set -euo pipefail
cd "$(dirname "$0")/.."

suits() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

find_python() {
    for candidate in ${PYTHON:-} python3 python3.13 python3.12 python3.11; do
        if suits "$candidate"; then
            command -v "$candidate"
            return
        fi
    done
    echo "MedXamion needs Python 3.11 or newer, and finds none. Install one, or name it:" >&2
    echo "    make PYTHON=/path/to/python3" >&2
    exit 1
}

make_venv() {
    local python=$1
    # Debian splits venv's pip off into a package of its own.
    "$python" -c 'import ensurepip, venv' 2>/dev/null || scripts/debian.sh python3-venv
    "$python" -m venv --clear .venv
}

python=$(find_python)
if ! suits .venv/bin/python || ! .venv/bin/python -m pip --version >/dev/null 2>&1; then
    echo "Making .venv with $("$python" --version)" >&2
    make_venv "$python"
fi
.venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes \
    -r requirements/bootstrap.lock
echo "Installing what requirements/dev.lock pins" >&2
export VIRTUAL_ENV="$PWD/.venv"
.venv/bin/uv pip install --quiet --require-hashes -r requirements/dev.lock
.venv/bin/uv pip install --quiet --no-deps --no-build-isolation -e .
touch .venv/.ready
