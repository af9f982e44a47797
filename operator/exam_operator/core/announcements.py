"""Which Kubernetes Events a change of status is worth: transitions, never a name or an answer."""

from dataclasses import dataclass
from typing import Literal

from exam_contract.delivery import Condition, ExamDeliveryStatus, Phase
from exam_operator.core.phases import discarded

_ALARMS = frozenset({Phase.RECOVERING, Phase.FAILED, Phase.ABORTED})
_WATCHED = ("Degraded", "StorageReady", "WriterFenced", "PendingTemplate")
_ON_THE_WAY = frozenset({"Opening", "Erased"})
_BAD_WHEN = {"Degraded": "True", "StorageReady": "False", "WriterFenced": "True"}


@dataclass(frozen=True, slots=True)
class Announcement:
    """``kind`` and ``reason`` as Kubernetes Events have them."""

    kind: Literal["Normal", "Warning"]
    reason: str
    message: str


def announcements(before: ExamDeliveryStatus, after: ExamDeliveryStatus) -> list[Announcement]:
    """What people should be told, oldest first."""
    told: list[Announcement] = []
    if after.epoch > before.epoch:
        told.append(Announcement("Normal", "ClientStarted", f"epoch {after.epoch} starts"))
    if after.phase is not before.phase:
        told.append(_phase(before, after))
    if discarded(after) and not discarded(before):
        told.append(_discarded(after))
    if after.restarts.count > before.restarts.count and after.restarts.last_reason:
        message = f"restart {after.restarts.count}: {after.restarts.last_reason}"
        told.append(Announcement("Warning", "ClientRestarted", message))
    seen = {condition.type: condition for condition in before.conditions}
    for condition in after.conditions:
        if condition.type in _WATCHED and _turned(seen.get(condition.type), condition):
            told.append(_condition(condition))
    return told


def _phase(before: ExamDeliveryStatus, after: ExamDeliveryStatus) -> Announcement:
    resumes = f", to resume {after.resume_phase}" if after.resume_phase else ""
    kind: Literal["Normal", "Warning"] = "Warning" if after.phase in _ALARMS else "Normal"
    return Announcement(kind, str(after.phase), f"{before.phase} -> {after.phase}{resumes}")


def _discarded(after: ExamDeliveryStatus) -> Announcement:
    counts = after.counts
    message = (
        "untransferred data was discarded on request: as far as known,"
        f" {counts.started} attempts begun, {counts.closed} closed, {counts.acked} answers saved"
    )
    return Announcement("Warning", "DataDiscarded", message)


def _turned(before: Condition | None, after: Condition) -> bool:
    """A new trouble is told even beside an old one; good news only after bad."""
    if after.reason in _ON_THE_WAY:
        return False
    if before is None or before.reason in _ON_THE_WAY:
        return _BAD_WHEN.get(after.type, "True") == after.status
    return (before.status, before.reason) != (after.status, after.reason)


def _condition(condition: Condition) -> Announcement:
    bad = _BAD_WHEN.get(condition.type) == condition.status
    message = f"{condition.type} is {condition.status}"
    if condition.message:
        message = f"{message}: {condition.message}"
    return Announcement("Warning" if bad else "Normal", condition.reason, message[:1000])
