"""What pages need of the app: who looks at them, and where people without a session go."""

from urllib.parse import quote

from fastapi import Request
from fastapi.responses import RedirectResponse, Response

from coordinator.api import problems
from coordinator.api.deps import Principal
from coordinator.core.permissions import ROUTES
from coordinator.errors import Refused
from coordinator.store.staff import Session


def viewer(request: Request) -> Session:
    """The signed-in account; the guard has checked the page's permission."""
    principal: Principal = request.state.principal
    return principal.known


async def redirect_to_sign_in(request: Request, error: Exception) -> Response:
    """Pages lead to the sign-in page; everything else gets the problem."""
    if not isinstance(error, Refused):
        raise error
    route = getattr(request.scope.get("route"), "path", "")
    access = ROUTES.get(("GET", route))
    if access is None or not access.page:
        return problems.refusal(error)
    wanted = quote(request.url.path, safe="/")
    return RedirectResponse(f"/sign-in?next={wanted}", status_code=303)
