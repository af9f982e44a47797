"""ExamDelivery objects for the eye: a table as kubectl shows it, and one told in full."""

from datetime import UTC, datetime, timedelta

import yaml
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from exam_contract.delivery import Condition, ConditionType, ExamDelivery, Phase
from examctl.condition_words import words

_COLORS = {
    Phase.RUNNING: "green",
    Phase.PREPARED: "green",
    Phase.RECOVERING: "yellow",
    Phase.FAILED: "red",
    Phase.ABORTED: "red",
    Phase.VALIDATED: "cyan",
    Phase.CLEANED_UP: "cyan",
}
_GOOD_WHEN_FALSE = frozenset({"Recovering", "WriterFenced", "PendingTemplate", "Degraded"})


def table(
    found: list[ExamDelivery],
    *,
    wide: bool,
    now: datetime | None = None,
    namespaces: bool = False,
) -> Table:
    """The printer columns of the CRD, and before them the namespace where it is asked for."""
    shown = Table(box=None, pad_edge=False, header_style="bold")
    names = ["NAME", "EXAM", "PHASE", "READY", "PARTICIPANTS", "ACKED", "RESTARTS", "AGE"]
    more = ["NODE", "EPOCH", "TRANSFER", "PVC"] if wide else []
    for name in (["NAMESPACE"] if namespaces else []) + names + more:
        shown.add_column(name, no_wrap=True)
    for stored in found:
        cells = _cells(stored, now or datetime.now(UTC))
        first: list[str | Text] = [stored.metadata.namespace] if namespaces else []
        shown.add_row(*first, *cells, *(_wide_cells(stored) if wide else []))
    return shown


def description(stored: ExamDelivery) -> RenderableType:
    """Spec, status and conditions of one object."""
    return Group(_facts(stored), Text(""), _conditions(stored))


def as_yaml(document: object) -> str:
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True)


def age(since: datetime | None, now: datetime) -> str:
    """Two digits' worth of time, as kubectl shows it: 45s, 12m, 3h, 9d."""
    if since is None:
        return ""
    seconds = max(0, int((now - since).total_seconds()))
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "m")):
        if seconds >= 2 * size or (unit == "d" and seconds >= size):
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def _cells(stored: ExamDelivery, now: datetime) -> list[str | Text]:
    status, spec = stored.status, stored.spec
    return [
        stored.metadata.name,
        f"{spec.exam.id}@{spec.exam.version}",
        _phase(stored),
        _status_of(stored, "Ready"),
        f"{status.counts.started}/{status.counts.enrolled}",
        str(status.counts.acked),
        str(status.restarts.count),
        age(stored.metadata.creation_timestamp, now),
    ]


def _wide_cells(stored: ExamDelivery) -> list[str | Text]:
    status = stored.status
    node = status.pod.node or status.pod.name or ""
    return [node, str(status.epoch), status.transfer.state, status.pvc_name or ""]


def _phase(stored: ExamDelivery) -> Text:
    status = stored.status
    words = str(status.phase)
    if status.phase is Phase.RECOVERING and status.resume_phase is not None:
        words = f"{words} ({status.resume_phase})"
    return Text(words, style=_COLORS.get(status.phase, ""))


def _status_of(stored: ExamDelivery, type_: ConditionType) -> str:
    return next((c.status for c in stored.status.conditions if c.type == type_), "Unknown")


def _facts(stored: ExamDelivery) -> Table:
    facts = Table(box=None, show_header=False, pad_edge=False)
    facts.add_column(style="bold", no_wrap=True)
    facts.add_column(overflow="fold")
    for name, value in _named_facts(stored):
        if value not in (None, ""):
            facts.add_row(name, value if isinstance(value, Text) else Text(str(value)))
    return facts


def _named_facts(stored: ExamDelivery) -> list[tuple[str, object]]:
    meta, spec, status = stored.metadata, stored.spec, stored.status
    restarts, counts = status.restarts, status.counts
    return [
        ("Name", f"{meta.namespace}/{meta.name}"),
        ("Uid", meta.uid),
        ("Delivery", status.delivery_id),
        ("Exam", f"{spec.exam.id} version {spec.exam.version}"),
        ("Window", f"{_time(spec.window.opens_at)} to {_time(spec.window.closes_at)}"),
        ("Grace", f"{spec.window.grace_seconds} s"),
        ("Time limit", str(timedelta(seconds=spec.time_limit_seconds))),
        ("Roster", spec.participants.roster_ref),
        ("Desired", f"{spec.desired_state}{', paused' if spec.paused else ''}"),
        ("Phase", _phase(stored)),
        ("Epoch", status.epoch),
        ("Exam-client", f"{status.pod.name}, uid {status.pod.uid}" if status.pod.name else None),
        ("Node", status.pod.node),
        ("Volume", status.pvc_name),
        ("Address", status.endpoint.public),
        ("Inner address", status.endpoint.internal),
        (
            "Participants",
            f"{counts.enrolled} enrolled, {counts.started} started, {counts.open} open",
        ),
        ("Acknowledged", f"{counts.acked} answers"),
        ("Restarts", f"{restarts.count}{_last_restart(stored)}"),
        ("Transfer", _transfer(stored)),
        ("Receipt", status.transfer.receipt_id),
        ("Annotations", ", ".join(f"{key}={value}" for key, value in meta.annotations.items())),
    ]


def _last_restart(stored: ExamDelivery) -> str:
    restarts = stored.status.restarts
    if restarts.last_at is None:
        return ""
    took = (
        f", back after {restarts.last_recovery_seconds} s" if restarts.last_recovery_seconds else ""
    )
    return f", last {_time(restarts.last_at)} ({restarts.last_reason}{took})"


def _transfer(stored: ExamDelivery) -> str:
    transfer = stored.status.transfer
    if transfer.validated_at is not None:
        return f"{transfer.state}, validated {_time(transfer.validated_at)}"
    if transfer.started_at is not None:
        return f"{transfer.state}, begun {_time(transfer.started_at)}"
    return transfer.state


def _conditions(stored: ExamDelivery) -> Table:
    shown = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("CONDITION", "STATUS", "REASON", "SINCE"):
        shown.add_column(name, no_wrap=True)
    shown.add_column("MESSAGE", overflow="fold")
    for condition in stored.status.conditions:
        shown.add_row(
            condition.type,
            Text(condition.status, style=_style(condition)),
            condition.reason,
            condition.last_transition_time.strftime("%H:%M:%S"),
            Text(words(condition)),
        )
    return shown


def _style(condition: Condition) -> str:
    good = "False" if condition.type in _GOOD_WHEN_FALSE else "True"
    if condition.status == good:
        return "green"
    return "red" if condition.type in _GOOD_WHEN_FALSE else ""


def _time(instant: datetime) -> str:
    return instant.strftime("%Y-%m-%d %H:%M:%S UTC")
