"""The third door (port 9090): Prometheus and the probes of whoever runs the process."""

from fastapi import APIRouter, Response

from coordinator.api.deps import TheRuntime

router = APIRouter(tags=["probes"])


@router.get("/metrics")
async def metrics(runtime: TheRuntime) -> Response:
    return Response(runtime.metrics.render(), media_type="text/plain; version=0.0.4; charset=utf-8")


@router.get("/healthz")
async def healthz() -> dict[str, str]:
    """The process lives; it asks nobody else."""
    return {"status": "ok"}


@router.get("/readyz")
async def readyz(runtime: TheRuntime) -> dict[str, str]:
    """200 when PostgreSQL answers."""
    await runtime.database.ping()
    return {"status": "ready"}
