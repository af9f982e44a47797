"""``python -m exam_client``: one delivery's exam-client, fit to be PID 1 of its container."""

import gc
import signal

# Asked to quiesce before there is anything to: it is asked again, and must not end by it.
signal.signal(signal.SIGUSR1, signal.SIG_IGN)
# Importing leaves no garbage, and looking for it took a fifth of the start: of every recovery.
gc.disable()

import logging
import resource
import sys
import warnings

import structlog
import uvloop

from exam_client import app
from exam_client.errors import StartRefused
from exam_client.settings import SettingsWrong, load_settings


def main() -> int:
    """The exit code: 0 after a signal, 1 when a part died, more when the start was refused."""
    # A core dump would hold content, answers and keys.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        settings = load_settings()
        _log_json(settings.log_level)
        return uvloop.run(app.run(settings))
    except (SettingsWrong, StartRefused) as refused:
        sys.stderr.write(f"exam-client: {refused}\n")
        return refused.exit_code


def _log_json(level: str) -> None:
    """JSON lines on standard error; libraries only when something is wrong."""
    # RFC 9864 deprecates the name that the coordinator's tokens carry; the curve is pinned anyway.
    warnings.filterwarnings("ignore", message="EdDSA is deprecated")
    number = getattr(logging, level.upper())
    logging.basicConfig(level=max(number, logging.WARNING), format="%(message)s")
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


if __name__ == "__main__":
    sys.exit(main())
