"""``python -m bench.coordinator_stub PORT BUNDLE``: the least coordinator an exam-client needs.

It hands out the bundle, takes every batch of events and forgets it, so that the exam-client sends
as it would and the load's core is spent on the load.
"""

import sys
from pathlib import Path

import msgspec
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route


class _Seq(msgspec.Struct):
    seq: int


class _Batch(msgspec.Struct):
    events: list[_Seq]


_BATCH = msgspec.json.Decoder(_Batch)


def application(bundle: bytes) -> Starlette:
    """The five routes."""

    async def healthz(request: Request) -> Response:
        return Response(b"ok")

    async def give_bundle(request: Request) -> Response:
        return Response(bundle, media_type="application/json")

    async def register(request: Request) -> Response:
        wanted = msgspec.json.decode(await request.body())
        return _accepted(wanted["last_seq"])

    async def take_events(request: Request) -> Response:
        return _accepted(_BATCH.decode(await request.body()).events[-1].seq)

    base = "/api/internal"
    return Starlette(
        routes=[
            Route("/healthz", healthz),
            Route(f"{base}/deliveries/{{uid}}/bundle", give_bundle),
            Route(f"{base}/exam-clients/event", take_events, methods=["POST"]),
            Route(f"{base}/exam-clients/{{id}}/incarnation", register, methods=["PUT"]),
        ]
    )


def _accepted(through: int) -> Response:
    return Response(b'{"accepted_through":%d}' % through, media_type="application/json")


if __name__ == "__main__":
    port, path = sys.argv[1:]
    uvicorn.run(application(Path(path).read_bytes()), port=int(port), log_level="warning")
