"""A coordinator that answers from a table and remembers what it was asked; for command tests."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

TOKEN = "a-token"


@dataclass(slots=True)
class Recorded:
    """``replies``: "METHOD path" (without query) to (status, JSON or bytes)."""

    url: str
    token_file: Path
    replies: dict[str, tuple[int, Any]] = field(default_factory=dict)
    asked: list[tuple[str, str, Any]] = field(default_factory=list)
    """Method, path with query, JSON body."""

    def options(self) -> list[str]:
        """What every command needs to find it."""
        return ["--url", self.url, "--token-file", str(self.token_file)]


@contextmanager
def recorded_coordinator(folder: Path) -> Iterator[Recorded]:
    """A server on a free port until the block ends."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    token_file = folder / "token"
    token_file.write_text(TOKEN + "\n")
    recorded = Recorded(f"http://127.0.0.1:{server.server_address[1]}", token_file)
    server.recorded = recorded  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield recorded
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def log_message(self, format: str, *args: object) -> None:
        """Nothing on standard error."""

    def _answer(self) -> None:
        recorded: Recorded = self.server.recorded  # type: ignore[attr-defined]
        length = int(self.headers.get("Content-Length") or 0)
        raw = self.rfile.read(length)
        recorded.asked.append((self.command, self.path, json.loads(raw) if raw else None))
        status, body = recorded.replies.get(
            f"{self.command} {self.path.partition('?')[0]}",
            (404, {"title": "There is nothing here", "code": "not_found", "status": 404}),
        )
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            status, body = 401, {"title": "Sign in first", "code": "unauthenticated"}
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
