"""The control port: the operator's ``/status`` and ``/desired``, the probes, the metrics."""

import hmac

from fastapi import APIRouter, Depends, Request, Response

from exam_client.api import headers
from exam_client.api.backups import BackupStream
from exam_client.api.participants import TheDelivery, TheHeaders
from exam_client.core import commands
from exam_client.errors import Refusal
from exam_client.services import status
from exam_client.services.backing_up import BackingUp
from exam_client.services.handing_over import HandingOver
from exam_contract.control import ClientStatus, Desired
from exam_contract.problems import ProblemCode

router = APIRouter()


async def authorised(found: TheHeaders, delivery: TheDelivery) -> None:
    """Only the holder of this delivery's control key gets further."""
    key = headers.bearer(found)
    expected = delivery.secrets.control_key.get_secret_value()
    if key is None or not hmac.compare_digest(key.encode(), expected.encode()):
        raise Refusal(ProblemCode.UNAUTHENTICATED, "send the delivery's control key as bearer")


@router.get("/status", dependencies=[Depends(authorised)])
async def get_status(delivery: TheDelivery) -> ClientStatus:
    """The only thing the operator reads of an exam-client."""
    return status.status(delivery)


@router.put("/desired", dependencies=[Depends(authorised)])
async def put_desired(request: Request, delivery: TheDelivery, desired: Desired) -> ClientStatus:
    """Put a desired document in force; an older generation is refused."""
    handing_over: HandingOver = request.app.state.handing_over
    if delivery.parts is not None:
        goes_back = await delivery.submit(commands.SetDesired(desired))
        if goes_back:
            await handing_over.roll_back(desired)
    handing_over.wake()
    return status.status(delivery)


@router.post("/backup", dependencies=[Depends(authorised)])
async def back_up(request: Request) -> Response:
    """A checked copy of the encrypted file, the volume's half of its key, and a note; as a tar."""
    backing_up: BackingUp = request.app.state.backing_up
    return BackupStream(backing_up)


@router.get("/healthz/startup")
async def startup(delivery: TheDelivery) -> Response:
    """200 once the file is open and recovered; this port does not listen before."""
    return Response("open", media_type="text/plain")


@router.get("/healthz/ready")
async def ready(delivery: TheDelivery) -> Response:
    """200 when participants can be served."""
    return _probe(status.not_ready(delivery), "ready")


@router.get("/healthz/live")
async def live(delivery: TheDelivery) -> Response:
    """200 while the event loop answers and the writer moves."""
    return _probe(status.not_live(delivery), "live")


@router.get("/healthz/quiesced")
async def quiesced(delivery: TheDelivery) -> Response:
    """200 once SIGUSR1 did its work: a pod's preStop waits for this."""
    word = "stopping" if delivery.stopping else "serving"
    return _probe(None if delivery.quiesced else word, "quiesced")


@router.get("/metrics")
async def metrics(delivery: TheDelivery) -> Response:
    """Prometheus text."""
    return Response(delivery.metrics.text(), media_type="text/plain; version=0.0.4")


def _probe(trouble: str | None, word: str) -> Response:
    return Response(
        trouble or word, status_code=200 if trouble is None else 503, media_type="text/plain"
    )
