"""``plan``: from what is seen of one delivery, and the time, to a status and ordered commands.

Level-based: nothing is remembered but the status, and the same look gives the same plan. The
status is written first, so a crash between two commands never gives an epoch twice.
"""

from dataclasses import dataclass
from datetime import datetime

from exam_contract.bundle import Window
from exam_contract.canonical import digest
from exam_contract.control import Desired, Mode
from exam_contract.delivery import (
    END_PHASES,
    FENCE_ANNOTATION,
    RESTART_ANNOTATION,
    DesiredState,
    ExamDelivery,
    ExamDeliverySpec,
    ExamDeliveryStatus,
    Phase,
)
from exam_contract.delivery_rules import data_validated
from exam_operator.core import commands as c
from exam_operator.core import pacing, phases, recovery, removal, reporting, statuses, troubles
from exam_operator.core.belief import believed
from exam_operator.core.pacing import Pace
from exam_operator.core.world import Child, Observed, Remains, SecretState, VolumeState

_KILL_AFTER_STOPPING_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Plan:
    """``commands`` in order, beginning with WriteStatus where it changed; then look again."""

    status: ExamDeliveryStatus
    commands: tuple[c.Command, ...]
    requeue_seconds: float


def plan(observed: Observed, now: datetime, pace: Pace = pacing.ONE_MACHINE) -> Plan:
    """What to do now. A paused object gets no write at all, not even of its status."""
    written = observed.object.status
    if observed.object.spec.paused:
        return Plan(written, (), pacing.IDLE_SECONDS)
    observed = believed(observed)
    stored = observed.object
    if stored.metadata.deletion_timestamp is not None and removal.allowed(observed, now):
        return _removal(observed, now)
    step = phases.next_step(observed, now)
    acts = _actions(observed, step, now)
    template = template_digest(stored.spec)
    status = statuses.next_status(observed, step, acts, template, pace.counts, now)
    wait = _requeue(observed, step, pace, now)
    return _finished(observed, written, status, acts, wait, pace, now)


def template_digest(spec: ExamDeliverySpec) -> str:
    """What an exam-client is started with, as far as the spec can change it."""
    return digest(spec.client.model_dump(mode="json"))


def _finished(
    observed: Observed,
    written: ExamDeliveryStatus,
    status: ExamDeliveryStatus,
    acts: tuple[c.Command, ...],
    requeue_seconds: float,
    pace: Pace,
    now: datetime,
) -> Plan:
    ordered: list[c.Command] = []
    if status != written:
        ordered.append(c.WriteStatus(status))
    ordered.extend(acts)
    body = reporting.registration(observed, status)
    if reporting.due(observed.registered, body, status.phase, pace.heartbeat, now):
        ordered.append(c.RegisterDelivery(body))
    moved = status.phase is not written.phase
    return Plan(status, tuple(ordered), pacing.SOON_SECONDS if moved or acts else requeue_seconds)


def _removal(observed: Observed, now: datetime) -> Plan:
    """The object is being deleted and may be: end everything below it, then let it go."""
    status = removal.final_status(observed, now)
    acts = removal.actions(observed)
    if _to_be_told(observed, status, now, last=acts == (c.ReleaseObject(),)):
        acts = (c.RegisterDelivery(reporting.registration(observed, status)), *acts)
    written = (c.WriteStatus(status),) if status != observed.object.status else ()
    return Plan(status, (*written, *acts), pacing.SOON_SECONDS * 4)


def _to_be_told(
    observed: Observed, status: ExamDeliveryStatus, now: datetime, *, last: bool
) -> bool:
    """The end is told with the last step; a discard from the first, until it is heard.

    Nothing waits for the answer: a coordinator that is away all the while never hears of it.
    """
    known = statuses.delivery_id(observed) is not None
    if last or not known or not phases.discarded(status):
        return last and known
    body = reporting.registration(observed, status)
    return reporting.due(observed.registered, body, status.phase, reporting.RETRY, now)


def _actions(observed: Observed, step: phases.Step, now: datetime) -> tuple[c.Command, ...]:
    """What to do to the world below the object, in this phase."""
    phase = step.phase
    if phase in END_PHASES:
        return (*_lift(observed), *_stop_leftover(observed, f"phase {phase}"))
    if phase is Phase.ASSIGNED:
        return _protect(observed)
    if phase is Phase.VALIDATED:
        return (*_lift(observed), *_clean_up(observed, now))
    return (
        *_protect(observed),
        *_ensure(observed, phase, now),
        *(() if observed.access.ready else (c.EnsureAccess(),)),
        *_start(observed, phase, now),
        *_restart(observed, now),
        *_hasten(observed, now),
        *_desired(observed, phase, now),
    )


def _protect(observed: Observed) -> tuple[c.Command, ...]:
    return (c.Protect(),) if observed.protected is False else ()


def _lift(observed: Observed) -> tuple[c.Command, ...]:
    return (c.LiftProtection(),) if observed.protected else ()


def _ensure(observed: Observed, phase: Phase, now: datetime) -> tuple[c.Command, ...]:
    """Secret and volume are made once. Where answers may have been, a blank one is never made.

    New keys would not open a volume that is there.
    """
    if phases.data_matters(observed.object, phase, now):
        return ()
    spec, made = observed.object.spec, list[c.Command]()
    reply = observed.registered.reply
    secret = observed.secret
    absent = secret.state is SecretState.ABSENT and observed.volume.state is VolumeState.ABSENT
    if absent and secret.problem is None and reply is not None:
        reference = spec.encryption.key_secret_ref
        made.append(c.EnsureSecret(reply.trust, reference.name if reference else None))
    has_keys = secret.state is SecretState.PRESENT or bool(made)
    if observed.volume.state is VolumeState.ABSENT and has_keys:
        made.append(c.EnsureVolume(spec.storage.size))  # it is marked with the keys it belongs to
    return tuple(made)


def _start(observed: Observed, phase: Phase, now: datetime) -> tuple[c.Command, ...]:
    """A successor needs the file and its key, and nobody else: not even the coordinator."""
    child = observed.child
    if child is not None and (child.alive or child.remains is Remains.RETURNING):
        return _replace(observed, child)
    ready = _has_file_and_key(observed) and not phases.data_lost(observed, phase, now)
    if phase is Phase.PREPARING and not observed.access.ready:
        return ()  # it would start without its certificate, and without knowing its address
    delivery_id = statuses.delivery_id(observed)
    if not ready or delivery_id is None or recovery.start_delay(observed.exits, now) > 0:
        return ()
    if child is not None and child.remains is Remains.BLOCKING:
        return () if child.stopping_since else (c.StopClient("it ended and holds the place"),)
    expects_data = phases.data_matters(observed.object, phase, now)
    return (c.StartClient(recovery.next_epoch(observed), delivery_id, expects_data),)


def _has_file_and_key(observed: Observed) -> bool:
    """What any successor needs. A claim that is being deleted lets no new pod in."""
    has_key = observed.secret.state is SecretState.PRESENT
    return has_key and observed.volume.state is VolumeState.PRESENT


def _replace(observed: Observed, child: Child) -> tuple[c.Command, ...]:
    """One that never began is started as it would be now; one on a lost node where that is asked.

    Asking is all that is ever done: the successor waits until the object is really gone.
    """
    if child.stopping_since is not None:
        return ()
    changed = child.outdated or child.template != template_digest(observed.object.spec)
    if child.never_ran and changed:
        return (c.StopClient("what it is started with changed before it ever ran"),)
    wanted = observed.object.spec.recovery.node_loss_policy == "Replace"
    if child.node_lost and wanted and _has_file_and_key(observed):
        return (c.StopClient("its node is lost"),)
    return ()


def _restart(observed: Observed, now: datetime) -> tuple[c.Command, ...]:
    """A person asked for a restart: once per value, gracefully; only a hung one is killed.

    It waits while no successor could start: what runs is then all there is.
    """
    child = observed.child
    if child is None or child.gone or not restart_wanted(observed.object):
        return ()
    if child.stopping_since is None:
        stop = c.StopClient("RestartRequested", hung=recovery.seems_hung(child, now))
        return (stop,) if _has_file_and_key(observed) else ()
    if _may_kill(child, now):
        return (c.KillClient("it did not answer, nor end when asked to"),)
    return ()


def _hasten(observed: Observed, now: datetime) -> tuple[c.Command, ...]:
    """One that was asked to end, by whomever, and hangs would use all of its grace."""
    child = observed.child
    if child is None or child.gone or child.stopping_since is None:
        return ()
    left = (child.stopping_since - now).total_seconds()
    if left <= recovery.HUNG_GRACE_SECONDS or not recovery.seems_hung(child, now):
        return ()
    return (c.StopClient("it hangs", hung=True),)


def restart_wanted(stored: ExamDelivery) -> bool:
    """Whether the restart annotation holds a value that was not carried out yet."""
    asked = stored.metadata.annotations.get(RESTART_ANNOTATION)
    return bool(asked) and asked != stored.status.restarts.last_requested_at


def _may_kill(child: Child, now: datetime) -> bool:
    if child.stopping_since is None or not recovery.proven_hung(child, now):
        return False
    return (now - child.stopping_since).total_seconds() >= _KILL_AFTER_STOPPING_SECONDS


def _desired(observed: Observed, phase: Phase, now: datetime) -> tuple[c.Command, ...]:
    """The whole desired document, when what the exam-client has in force is another."""
    mode, client = phases.mode_for(phase, observed, now), observed.client
    if mode is None or client is None:
        return ()
    desired = desired_document(observed.object, mode, fenced=phases.started_anew(observed))
    in_force = (client.generation, client.mode, client.fenced)
    if in_force == (desired.generation, desired.mode, desired.fenced):
        return ()
    return (c.PutDesired(desired),)


def desired_document(stored: ExamDelivery, mode: Mode, *, fenced: bool = False) -> Desired:
    """What the exam-client is to do, whole. ``fenced``: whatever the annotation says."""
    spec = stored.spec
    return Desired(
        generation=max(1, stored.metadata.generation),
        mode=mode,
        window=Window(
            opens_at=spec.window.opens_at,
            closes_at=spec.window.closes_at,
            grace_seconds=spec.window.grace_seconds,
        ),
        time_limit_seconds=spec.time_limit_seconds,
        aborted=spec.desired_state is DesiredState.ABORTED,
        fenced=fenced or stored.metadata.annotations.get(FENCE_ANNOTATION) == "true",
    )


def _clean_up(observed: Observed, now: datetime) -> tuple[c.Command, ...]:
    """Only with the verified receipt in hand, and only after the hold: erase, stop, delete."""
    if not data_validated(observed.object) or not phases.retention_over(observed.object, now):
        return ()
    child, client = observed.child, observed.client
    if child is not None and not child.gone:
        erased = client is not None and client.transfer.state == "erased"
        if erased or child.remains is Remains.BLOCKING:
            return _stop_leftover(observed, "the data is erased")
        return _desired(observed, Phase.VALIDATED, now)
    gone: list[c.Command] = []
    if observed.secret.state is not SecretState.ABSENT:
        gone.append(c.DeleteSecret("receipt verified"))
    if observed.volume.state in (VolumeState.PRESENT, VolumeState.PENDING_DELETION):
        gone.append(c.DeleteVolume("receipt verified"))
    return tuple(gone)


def _stop_leftover(observed: Observed, reason: str) -> tuple[c.Command, ...]:
    child = observed.child
    if child is None or child.gone or child.stopping_since is not None:
        return ()
    return (c.StopClient(reason),)


def _requeue(observed: Observed, step: phases.Step, pace: Pace, now: datetime) -> float:
    if step.phase in END_PHASES:
        stopping = observed.child is not None and not observed.child.gone
        return pace.poll_seconds[Phase.VALIDATED] if stopping else pacing.IDLE_SECONDS
    if step.recovering:
        return max(pace.recovering_seconds, recovery.start_delay(observed.exits, now))
    wait, awaited = pace.poll_seconds[step.phase], _awaited(observed, step.phase)
    if awaited is not None and awaited > now:
        return min(wait, max(pacing.SOON_SECONDS, (awaited - now).total_seconds()))
    return wait


def _awaited(observed: Observed, phase: Phase) -> datetime | None:
    """When the clock alone changes something."""
    match phase:
        case Phase.PREPARED:
            return observed.object.spec.window.opens_at
        case Phase.ASSIGNED:
            return troubles.patience_ends(observed)
        case _:
            return None
