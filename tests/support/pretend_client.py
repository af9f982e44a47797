"""A tiny process that behaves like an exam-client towards the operator; started in its place.

``python -c`` runs ``main``. Beside its settings it reads ``wishes.json`` on its volume, by which a
test steers what happens in it: attempts, a hang, a refusal to start.
"""

import json
import os
import signal
import sys
import threading
import time
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.error import URLError
from urllib.request import Request, urlopen

from pydantic import BaseModel

from exam_contract.control import Desired
from exam_contract.results import Receipt
from exam_contract.trust import Signed
from tests.support.pretend_exam import ENROLLED, File, PretendExam
from tests.support.waiting import PATIENCE_SECONDS

ROOT = Path(__file__).parents[2]
COMMAND = (
    sys.executable,
    "-c",
    f"import sys; sys.path.insert(0, {str(ROOT)!r});"
    " from tests.support.pretend_client import main; main()",
)

SPARE_COMMAND = (
    sys.executable,
    "-c",
    f"import sys; sys.path.insert(0, {str(ROOT)!r});"
    " sys.argv = ['spare', 'tests.support.pretend_client'];"
    " from exam_operator.local.spare import main; sys.exit(main())",
)


class Wishes(BaseModel):
    """What a test wants to happen inside; ``begun`` and ``submitted`` are totals."""

    begun: int = 0
    submitted: int = 0
    hang: bool = False
    refuse_to_start: bool = False
    deaf_to_sigterm: bool = False


def wish(volume: Path, **wishes: object) -> None:
    """Leave wishes for the process, replacing all that stood."""
    staging = volume / ".wishes.new"
    staging.write_text(Wishes.model_validate(wishes).model_dump_json())
    staging.replace(volume / "wishes.json")


class Process:
    """The running pretence."""

    def __init__(self) -> None:
        self.volume = Path(_setting("VOLUME_DIR"))
        self.secret = Path(_setting("SECRET_DIR"))
        self.delivery_id = int(_setting("DELIVERY_ID"))
        self.path = self.volume / f"delivery_{self.delivery_id}_1.db"
        self.file = File()
        if self.path.exists():
            self.file = File.model_validate_json(self.path.read_text())
        uid, epoch = _setting("DELIVERY_UID"), int(_setting("EPOCH"))
        self.exam = PretendExam(self.delivery_id, uid, epoch, self.file)
        self.lock = threading.Lock()
        self.stopping = threading.Event()

    def run(self) -> None:
        if self.wishes().refuse_to_start:
            sys.exit(3)
        signal.signal(signal.SIGTERM, self._on_sigterm)
        self.exam.open_file()
        self._save()
        server = ThreadingHTTPServer(("127.0.0.1", int(_setting("CONTROL_PORT"))), _handler(self))
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        while not self.stopping.wait(0.02):
            with self.lock:
                self._live()
        server.shutdown()

    def wishes(self) -> Wishes:
        try:
            return Wishes.model_validate_json((self.volume / "wishes.json").read_text())
        except OSError:
            return Wishes()

    def _live(self) -> None:
        wishes = self.wishes()
        while self.file.started < min(wishes.begun, ENROLLED) and self.file.mode == "run":
            self.exam.begin_attempt()
        while self.file.closed < wishes.submitted and self.file.open:
            self.exam.close_attempt()
        try:
            self.exam.work(self._sign)
        except URLError:  # the coordinator is away: it is tried again
            self.exam.work(None)
        self._save()

    def _save(self) -> None:
        if self.file.transfer == "erased":
            self.path.unlink(missing_ok=True)
            return
        staging = self.volume / ".file.new"
        staging.write_text(self.file.model_dump_json())
        staging.replace(self.path)

    def _sign(self, receipt: Receipt) -> Signed:
        url = f"{_setting('COORDINATOR_URL')}/pretend/sign"
        asked = Request(url, receipt.model_dump_json().encode(), method="POST")  # noqa: S310
        with urlopen(asked, timeout=PATIENCE_SECONDS) as reply:  # noqa: S310 - loopback only
            return Signed.model_validate_json(reply.read())

    def _on_sigterm(self, number: int, frame: object) -> None:
        if not self.wishes().deaf_to_sigterm:
            self.stopping.set()


def _handler(process: Process) -> type[BaseHTTPRequestHandler]:
    return type("Bound", (_Handler,), {"process": process})


class _Handler(BaseHTTPRequestHandler):
    process: Process

    def do_GET(self) -> None:
        self._hang()
        if self.path == "/healthz/live":
            self._reply(200, {"status": "ok"})
        elif self._authorised():
            with self.process.lock:
                status = self.process.exam.status(datetime.now(UTC))
            self._reply(200, status.model_dump(mode="json"))

    def do_PUT(self) -> None:
        self._hang()
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self._authorised():
            with self.process.lock:
                refused = self.process.exam.obey(Desired.model_validate_json(body))
            self._reply(409 if refused else 204, {"code": refused})

    def log_message(self, format: str, *args: object) -> None:
        pass

    def _hang(self) -> None:
        while self.process.wishes().hang:
            time.sleep(0.05)  # noqa: TID251 - a hang is what is wished for

    def _authorised(self) -> bool:
        wanted = f"Bearer {(self.process.secret / 'control.key').read_text()}"
        if self.headers["Authorization"] == wanted:
            return True
        self._reply(401, {"code": "unauthenticated"})
        return False

    def _reply(self, status: int, body: object) -> None:
        data = b"" if status == 204 else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def _setting(name: str) -> str:
    return os.environ[f"MEDXAMION_CLIENT_{name}"]


def main() -> None:
    Process().run()
