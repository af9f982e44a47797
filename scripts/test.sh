#!/usr/bin/env bash
# Runs the tests: the parallel-safe ones on three workers, since on two cores two of them wait for half
# of the time, then those marked serial one by one.
# Modules are handed out in the order of testpaths, the long ones first: by their number of tests, as
# is the default, the demo's few long tests would come last, and one worker would wait for the other.
# Arguments go to pytest as they are.
set -uo pipefail
cd "$(dirname "$0")/.."
NONE_COLLECTED=5

MEDXAMION_CHROMIUM=$(scripts/chromium.sh) || exit 1
export MEDXAMION_CHROMIUM

.venv/bin/python -m pytest -n 3 --dist loadscope --no-loadscope-reorder -m "not serial" "$@"
parallel=$?
.venv/bin/python -m pytest -m serial "$@"
serial=$?

# A selection may leave one part empty, but not both.
if [ $parallel -eq $NONE_COLLECTED ] && [ $serial -eq $NONE_COLLECTED ]; then
    exit $NONE_COLLECTED
fi
[ $parallel -eq $NONE_COLLECTED ] && parallel=0
[ $serial -eq $NONE_COLLECTED ] && serial=0
exit $((parallel > serial ? parallel : serial))
