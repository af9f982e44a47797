"""What every part's log may say of an error: its kind and its places, never its message.

A message may repeat a name, an answer or a key, and more people read logs than those are for.
"""

import logging
import sys
import traceback
from collections.abc import Iterator, MutableMapping
from typing import Any


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
