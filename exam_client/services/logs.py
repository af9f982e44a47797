"""JSON lines on standard error: kinds and places of errors, never their messages.

An error's own message may repeat an answer or a name, and a container's last lines become part of
its pod's status, which more people may read than its log.
"""

import logging
import sys
import traceback
from collections.abc import Iterator, MutableMapping
from typing import Any

import structlog


def configure(level: str) -> None:
    """For the whole process; libraries speak only when something is wrong."""
    number = getattr(logging, level.upper())
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Plain("%(message)s"))
    logging.basicConfig(level=max(number, logging.WARNING), handlers=[handler], force=True)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _frames_only,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    sys.excepthook = _last_words


def _last_words(kind: object, error: BaseException, trace: object) -> None:
    sys.stderr.write("\n".join(_told(error)) + "\n")


class _Plain(logging.Formatter):
    """What libraries log, their errors told like ours."""

    def formatException(self, ei: Any) -> str:  # noqa: N802 - logging's own name
        return "\n".join(_told(ei[1]))


def _frames_only(
    logger: object, method: str, entry: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    raised = entry.pop("exc_info", None)
    error = sys.exc_info()[1] if raised is True else raised
    if isinstance(error, tuple):
        error = error[1]
    if isinstance(error, BaseException):
        entry["exception"] = list(_told(error))
    return entry


def _told(error: BaseException | None) -> Iterator[str]:
    """Its causes too, and the parts of a group."""
    while error is not None:
        yield f"{type(error).__module__}.{type(error).__qualname__}"
        for frame in traceback.extract_tb(error.__traceback__):
            yield f"  {frame.filename}:{frame.lineno} in {frame.name}"
        if isinstance(error, BaseExceptionGroup):
            for part in error.exceptions:
                yield from _told(part)
        error = error.__cause__ or error.__context__
