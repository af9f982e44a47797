"""The two apps of an exam-client: participants and live progress on one port, control apart."""

from fastapi import FastAPI

from exam_client.api import answers, control, pages, participants, problems, staff
from exam_client.api.answers import Answers
from exam_client.api.express import Express
from exam_client.api.gateway import Gateway, Lean
from exam_client.services.backing_up import BackingUp
from exam_client.services.delivery import Delivery
from exam_client.services.handing_over import HandingOver
from exam_client.services.sign_in import SignIn


def public_app(delivery: Delivery, sign_in: SignIn) -> Gateway:
    """Port 8235 and up."""
    app = FastAPI(title="MedXamion exam-client", docs_url=None, redoc_url=None)
    app.state.delivery = delivery
    app.state.sign_in = sign_in
    problems.install(app)
    app.include_router(participants.router)
    app.include_router(staff.router)
    app.include_router(pages.router)
    app.mount("/static", pages.static_files())
    answers.describe(app)
    doors = Answers(delivery, participants.cookie_name(delivery))
    lean: dict[str, Lean] = {"/exam/answer": doors.answer, "/exam/answers": doors.answers}
    guarded = {"/api/actions": lambda found: staff.authorised(found, delivery)}
    return Gateway(delivery, app, lean, Express(delivery, doors), guarded=guarded)


def control_app(delivery: Delivery, handing_over: HandingOver) -> Gateway:
    """Port 9235 and up."""
    app = FastAPI(title="MedXamion exam-client control", docs_url=None, redoc_url=None)
    app.state.delivery = delivery
    app.state.handing_over = handing_over
    app.state.backing_up = BackingUp(delivery)
    problems.install(app)
    app.include_router(control.router)
    return Gateway(delivery, app, {}, bodiless=frozenset({"/backup"}))
