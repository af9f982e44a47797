"""What a demo found, as one document: for people, for programs, and for the exit code."""

from dataclasses import asdict, dataclass, field
from typing import Any

from examctl.simulation.tally import Tally
from examctl.verification.checks import Verdict


@dataclass(slots=True)
class Drill:
    """The crashes that were caused, and how long each took to heal.

    ``recovery_seconds``: SIGKILL of the exam-client to the first answer that was sent after it and
    acknowledged. ``coordinator_recovery_seconds``: SIGKILL to the first successful sign-in after.
    """

    inflight_at_kill: list[int] = field(default_factory=list)
    recovery_seconds: list[float] = field(default_factory=list)
    coordinator_kills: int = 0
    coordinator_recovery_seconds: list[float] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Course:
    """How the delivery itself went. ``seconds``: step of the demo to its duration."""

    exam_id: str
    exam_title: str
    items: int
    delivery_id: int
    phase: str
    erased: bool
    seconds: dict[str, float]
    score_bins: dict[str, int]


def make_report(
    course: Course, tally: Tally, drill: Drill, verdict: Verdict, seed: int, sabotage: str | None
) -> dict[str, Any]:
    """The report file. Its first members are stable; others may be added."""
    checks = {check.name: check.holds for check in verdict.checks}
    figures = asdict(verdict.figures)
    return {
        "ok": succeeded(course, tally, drill, verdict),
        "acknowledged": figures.pop("acknowledged"),
        "stored": figures.pop("stored"),
        "lost": figures.pop("lost"),
        "duplicated": figures.pop("duplicated"),
        "revisions": figures.pop("revisions"),
        "reconnects": tally.reconnects,
        "kills": len(drill.inflight_at_kill),
        "inflight_at_kill": drill.inflight_at_kill,
        "recovery_seconds": drill.recovery_seconds,
        "coordinator_kills": drill.coordinator_kills,
        "coordinator_recovery_seconds": drill.coordinator_recovery_seconds,
        "deliveries": 1,
        "delivery_id": course.delivery_id,
        "phase": course.phase,
        "receipt_verified": checks["receipt_signature"] and checks["receipt_matches_rows"],
        "manifest_verified": checks["manifest_signature"] and checks["manifest_matches_rows"],
        "audit_verified": checks["coordinator_audit_chain"] and checks["client_audit_chain"],
        **figures,
        "exam": {"id": course.exam_id, "title": course.exam_title, "items": course.items},
        "participants": tally.participants,
        "completed": tally.completed,
        "device_changes": tally.device_changes,
        "indeterminate": tally.indeterminate,
        "resends": tally.resends,
        "gave_up": dict(tally.gave_up),
        "refused": dict(tally.refused),
        "latency": tally.latencies.summary().to_dict(),
        "score_bins": course.score_bins,
        "seconds": course.seconds,
        "checks": [asdict(check) for check in verdict.checks],
        "seed": seed,
        "sabotage": sabotage,
    }


def succeeded(course: Course, tally: Tally, drill: Drill, verdict: Verdict) -> bool:
    """Nothing lost, nothing twice, everything verified, everybody done, every crash healed."""
    return (
        verdict.holds
        and verdict.figures.acknowledged > 0
        and verdict.figures.lost == 0
        and verdict.figures.duplicated == 0
        and course.phase == "CleanedUp"
        and course.erased
        and tally.completed == tally.participants
        and len(drill.recovery_seconds) == len(drill.inflight_at_kill)
    )
