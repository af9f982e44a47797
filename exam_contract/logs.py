"""What every part's log may say of an error: its kind and its places, never its message.

A message may repeat a name, an answer or a key, and more people read logs than those are for; a
container's last lines even become part of its pod's status.
"""

import logging
import sys
import traceback
from collections.abc import Iterator, MutableMapping
from typing import Any

import structlog


def log_json(level: str) -> None:
    """JSON lines on standard error; libraries speak only when something is wrong."""
    number = getattr(logging, level.upper())
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(PlainFormatter("%(message)s"))
    logging.basicConfig(level=max(number, logging.WARNING), handlers=[handler], force=True)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            frames_only,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    sys.excepthook = last_words


def last_words(kind: object, error: BaseException, trace: object) -> None:
    """For ``sys.excepthook``: of what ends the process, too."""
    sys.stderr.write("\n".join(frames(error)) + "\n")


def frames_only(
    logger: object, method: str, entry: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """A processor of structlog: ``exc_info`` becomes ``exception``, a list of lines."""
    raised = entry.pop("exc_info", None)
    error = sys.exc_info()[1] if raised is True else raised
    if isinstance(error, tuple):
        error = error[1]
    if isinstance(error, BaseException):
        entry["exception"] = list(frames(error))
    return entry


def frames(error: BaseException | None) -> Iterator[str]:
    """Kinds and places of an error, of its causes, and of the parts of a group."""
    while error is not None:
        yield f"{type(error).__module__}.{type(error).__qualname__}"
        for frame in traceback.extract_tb(error.__traceback__):
            yield f"  {frame.filename}:{frame.lineno} in {frame.name}"
        if isinstance(error, BaseExceptionGroup):
            for part in error.exceptions:
                yield from frames(part)
        error = error.__cause__ or error.__context__


class PlainFormatter(logging.Formatter):
    """What libraries log: a message, and their errors told like ours."""

    def formatException(self, ei: Any) -> str:  # noqa: N802 - logging's own name
        return "\n".join(frames(ei[1]))
