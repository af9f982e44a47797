"""Probes and metrics of the operator, for the kubelet and Prometheus."""

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from exam_operator.adapters.metrics import CONTENT_TYPE, OperatorMetrics
from exam_operator.cluster.canary import Canary


def app(metrics: OperatorMetrics, canary: Canary) -> Starlette:
    """``/healthz`` fails when a watch has gone silent: only a restart helps then."""

    async def healthz(request: Request) -> Response:
        stalled = canary.stalled()
        if stalled:
            body = {"status": "watch stalled", "namespaces": stalled}
            return JSONResponse(body, status_code=503)
        return JSONResponse({"status": "ok"})

    async def readyz(request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def metrics_text(request: Request) -> Response:
        return Response(metrics.text(), media_type=CONTENT_TYPE)

    return Starlette(
        routes=[
            Route("/healthz", healthz),
            Route("/readyz", readyz),
            Route("/metrics", metrics_text),
        ]
    )
