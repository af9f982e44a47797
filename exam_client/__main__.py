"""``python -m exam_client``: one delivery's exam-client, fit to be PID 1 of its container."""

import gc
import signal

# Asked to quiesce before there is anything to: it is asked again, and must not end by it.
signal.signal(signal.SIGUSR1, signal.SIG_IGN)
# Importing leaves no garbage, and looking for it took a fifth of the start: of every recovery.
gc.disable()

import resource
import sys
import warnings

import uvloop

from exam_client import app
from exam_client.errors import StartRefused
from exam_client.settings import SettingsWrong, load_settings
from exam_contract.logs import log_json


def main() -> int:
    """The exit code: 0 after a signal, 1 when a part died, more when the start was refused."""
    # A core dump would hold content, answers and keys.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        settings = load_settings()
        # RFC 9864 deprecates the name in the coordinator's tokens; the curve is pinned anyway.
        warnings.filterwarnings("ignore", message="EdDSA is deprecated")
        log_json(settings.log_level)
        return uvloop.run(app.run(settings))
    except (SettingsWrong, StartRefused) as refused:
        sys.stderr.write(f"exam-client: {refused}\n")
        return refused.exit_code


if __name__ == "__main__":
    sys.exit(main())
