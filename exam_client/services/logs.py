"""JSON lines on standard error: kinds and places of errors, never their messages.

An error's own message may repeat an answer or a name, and a container's last lines become part of
its pod's status, which more people may read than its log.
"""

import logging
import sys

import structlog

from exam_contract.logs import PlainFormatter, frames, frames_only


def configure(level: str) -> None:
    """For the whole process; libraries speak only when something is wrong."""
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
    sys.excepthook = _last_words


def _last_words(kind: object, error: BaseException, trace: object) -> None:
    sys.stderr.write("\n".join(frames(error)) + "\n")
