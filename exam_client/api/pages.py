"""The participant page: ``GET /`` and its static files, from the package."""

from importlib.resources import files
from pathlib import Path

from fastapi import APIRouter
from fastapi.staticfiles import StaticFiles
from starlette.responses import FileResponse, Response

router = APIRouter()


def folder() -> Path:
    """Where the page's files are."""
    return Path(str(files("exam_client.ui").joinpath("static")))


def static_files() -> StaticFiles:
    return StaticFiles(directory=folder(), check_dir=False)


@router.get("/", include_in_schema=False)
async def page() -> Response:
    """The page on which the exam is sat; the delivery token comes in the URL's fragment."""
    return FileResponse(folder() / "index.html", media_type="text/html; charset=utf-8")
