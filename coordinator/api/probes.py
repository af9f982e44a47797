"""The third door (port 9090): Prometheus and the probes of whoever runs the process.

Liveness asks nobody: a restart never mended a database. What readiness means is told in
``services.standing``.
"""

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from coordinator.errors import NotReady
from coordinator.services.standing import Standing

router = APIRouter(tags=["probes"])


async def _standing(request: Request) -> Standing:
    standing: Standing = request.state.standing
    return standing


TheStanding = Annotated[Standing, Depends(_standing)]


@router.get("/metrics")
async def metrics(standing: TheStanding) -> Response:
    await standing.database_answers()
    rendered = standing.metrics.render()
    return Response(rendered, media_type="text/plain; version=0.0.4; charset=utf-8")


@router.get("/healthz")
async def healthz() -> dict[str, str]:
    """The process lives; it asks nobody else."""
    return {"status": "ok"}


@router.get("/readyz")
async def readyz(standing: TheStanding) -> dict[str, str]:
    """200 while this replica is of use; `detail` says whether PostgreSQL answers."""
    readiness = await standing.readiness()
    if not readiness.ready:
        raise NotReady(readiness.says)
    return {"status": "ready", "detail": readiness.says}
