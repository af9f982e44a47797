"""The log of ``examctl up``: JSON lines in a file that is rotated, never on the terminal."""

import contextlib
import logging
import logging.handlers
import os
from collections.abc import Iterator
from io import TextIOWrapper
from pathlib import Path

import structlog

_BYTES, _KEPT = 5 * 2**20, 2


@contextlib.contextmanager
def to_file(path: Path) -> Iterator[None]:
    """Send structlog, and the warnings of libraries, to the file for as long as this lasts."""
    path.touch(mode=0o600)
    root, handler = logging.getLogger(), _PrivateFile(path, maxBytes=_BYTES, backupCount=_KEPT)
    handler.setFormatter(logging.Formatter("%(message)s"))
    before = root.handlers[:], root.level, structlog.get_config()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    for noisy in ("httpx", "httpcore", "uvicorn.error"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    _configure()
    try:
        yield
    finally:
        root.handlers[:], level, configuration = before
        root.setLevel(level)
        structlog.configure(**configuration)
        handler.close()


def _configure() -> None:
    structlog.configure(
        processors=[
            structlog.stdlib.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            # Without locals: they may hold keys.
            structlog.processors.ExceptionRenderer(
                structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
            ),
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )


class _PrivateFile(logging.handlers.RotatingFileHandler):
    """0600, also after each rotation."""

    def _open(self) -> TextIOWrapper:
        stream = super()._open()
        os.fchmod(stream.fileno(), 0o600)
        return stream
