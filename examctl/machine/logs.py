"""The log of ``examctl up``: JSON lines in a file that is rotated, never on the terminal."""

import logging
import logging.handlers
import os
from io import TextIOWrapper
from pathlib import Path

import structlog

_BYTES, _KEPT = 5 * 2**20, 2


def configure(path: Path) -> None:
    """Send structlog, and the warnings of libraries, to the file."""
    path.touch(mode=0o600)
    handler = _PrivateFile(path, maxBytes=_BYTES, backupCount=_KEPT)
    handler.setFormatter(logging.Formatter("%(message)s"))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    for noisy in ("httpx", "httpcore", "uvicorn.error"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
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
        cache_logger_on_first_use=True,
    )


class _PrivateFile(logging.handlers.RotatingFileHandler):
    """0600, also after each rotation."""

    def _open(self) -> TextIOWrapper:
        stream = super()._open()
        os.fchmod(stream.fileno(), 0o600)
        return stream
