"""``python -m exam_operator``: the operator of a cluster, fit to be PID 1 of its container.

What keeps it from starting is one sentence on stderr and exit code 2.
"""

import asyncio
import sys

from pydantic import ValidationError

from exam_contract.logs import log_json
from exam_operator.cluster.service import cluster_operator
from exam_operator.errors import EdgeError
from exam_operator.settings import ClusterSettings

_PREFIX = "MEDXAMION_OPERATOR_"


def main() -> int:
    """The exit code."""
    try:
        settings = ClusterSettings()
    except ValidationError as error:
        faults = "; ".join(
            f"{_PREFIX}{str(fault['loc'][0]).upper()}: {fault['msg']}"
            for fault in error.errors(include_input=False, include_url=False)
        )
        sys.stderr.write(f"exam-operator: set the environment right: {faults}\n")
        return 2
    log_json(settings.log_level)
    try:
        asyncio.run(_run(settings))
    except (EdgeError, ExceptionGroup) as error:
        sys.stderr.write(f"exam-operator: {_sentence(error)}\n")
        return 2
    return 0


def _sentence(error: EdgeError | ExceptionGroup[Exception]) -> str:
    """What can be said to a person. Raises the error again where nothing can."""
    while isinstance(error, ExceptionGroup) and len(error.exceptions) == 1:
        (only,) = error.exceptions
        if not isinstance(only, EdgeError | ExceptionGroup):
            break
        error = only
    if isinstance(error, EdgeError):
        return str(error)
    raise error


async def _run(settings: ClusterSettings) -> None:
    async with cluster_operator(settings) as operator:
        await operator.run()


if __name__ == "__main__":
    sys.exit(main())
