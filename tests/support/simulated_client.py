"""An exam-client as the coordinator's pages see one: live progress and exam actions, in memory.

What participants do is done by the test; nobody sits here. ``down`` makes it answer to nobody.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from exam_contract.base import rfc3339

Json = dict[str, Any]
TOTAL = 60


class SimulatedClient:
    """``participants``: rows of the exam-client's view by id. ``actions``: what was asked."""

    def __init__(self, delivery_id: int, uid: str, participants: list[int]) -> None:
        self.delivery_id, self.uid = delivery_id, uid
        self.participants = {number: registered(number) for number in participants}
        self.actions: list[Json] = []
        self.down = False

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/api/progress", self._progress),
                Route("/api/actions", self._act, methods=["POST"]),
                Route("/exam/info", self._info),
            ]
        )

    def start(self, number: int, answered: int = 0, **changes: Any) -> Json:
        """The participant is under way, having saved so many answers."""
        now = datetime.now(UTC)
        row = self.participants[number]
        row.update(
            state="in_progress",
            status="in_progress",
            connection="online",
            started_at=rfc3339(now - timedelta(minutes=20)),
            deadline=rfc3339(now + timedelta(minutes=70)),
            deadline_version=1,
            last_save=rfc3339(now) if answered else None,
            last_activity=rfc3339(now),
            progress=progress(answered),
        )
        row.update(changes)
        return row

    async def _info(self, request: Request) -> Response:
        return Response(status_code=503 if self.down else 200)

    async def _progress(self, request: Request) -> Response:
        if self.down:
            return Response(status_code=503)
        rows = list(self.participants.values())
        return JSONResponse(
            {
                "delivery_id": self.delivery_id,
                "delivery_uid": self.uid,
                "epoch": 1,
                "incarnation": 1,
                "as_of": rfc3339(datetime.now(UTC)),
                "last_seq": 0,
                "stats": _stats(rows),
                "participants": rows,
            }
        )

    async def _act(self, request: Request) -> Response:
        if self.down:
            return Response(status_code=503)
        action = await request.json()
        self.actions.append(action)
        concerned = action.get("participant_ids") or list(self.participants)
        applied = [number for number in concerned if self._apply(action, number)]
        skipped = {number: "has not started" for number in concerned if number not in applied}
        outcome = {"action_id": action["action_id"], "applied": applied, "skipped": skipped}
        return JSONResponse({**outcome, "seq": len(self.actions)})

    def _apply(self, action: Json, number: int) -> bool:
        row = self.participants[number]
        if row["state"] == "registered" and action["kind"] not in ("announce", "takeover_code"):
            return False
        match action["kind"]:
            case "grant_time":
                deadline = datetime.fromisoformat(row["deadline"])
                row["deadline"] = rfc3339(deadline + timedelta(seconds=action["seconds"]))
                row["deadline_version"] += 1
            case "pause":
                row.update(state="paused", status="paused")
            case "resume":
                row.update(state="in_progress", status="in_progress")
            case "force_submit":
                row.update(state="force_submitted", status="completed", final_score=50)
            case "reopen":
                row.update(state="in_progress", status="in_progress", final_score=None)
            case _:
                pass  # announcements and takeover codes change nobody's row
        return True


def registered(number: int) -> Json:
    return {
        "participant_id": number,
        "state": "registered",
        "status": "not_started",
        "connection": "never_seen",
        "progress": progress(0),
    }


def progress(answered: int, percent: int = 70) -> Json:
    """As the wire has it: ``percent`` of the answered items were right."""
    return {
        "questions_answered": answered,
        "total_questions": TOTAL,
        "current_score": percent if answered else 0,
        "score_numerator": str(answered * percent // 100),
        "score_denominator": str(answered),
        "time_remaining": 4200,
    }


def _stats(rows: list[Json]) -> Json:
    states = [row["state"] for row in rows]
    return {
        "enrolled": len(rows),
        "checked_in": len(rows) - states.count("registered"),
        "in_progress": states.count("in_progress"),
        "paused": states.count("paused"),
        "completed": sum(state.endswith("submitted") for state in states),
        "answers": sum(row["progress"]["questions_answered"] for row in rows),
        "revisions": sum(row["progress"]["questions_answered"] for row in rows),
        "average_score": 70,
        "average_answered": 10,
        "online": sum(row["connection"] == "online" for row in rows),
        "disconnected": sum(row["connection"] == "disconnected" for row in rows),
        "events_pending": 0,
    }
