"""``plan``: from what is seen of one delivery, and the time, to a status and ordered commands.

Level-based: nothing is remembered but the status, and the same look gives the same plan. The
status is written first, so a crash between two commands never gives an epoch twice.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

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
from exam_operator.core import phases, recovery, removal, reporting, statuses
from exam_operator.core.world import Child, Observed, SecretState, VolumeState

_POLL_SECONDS = {
    Phase.ASSIGNED: 2.0,
    Phase.PREPARING: 0.25,
    Phase.PREPARED: 1.0,
    Phase.RUNNING: 2.0,
    Phase.FINALISING: 0.5,
    Phase.TRANSFERRING: 0.5,
    Phase.VALIDATED: 0.5,
}
_RECOVERING_POLL_SECONDS = 0.1
_SOON_SECONDS = 0.05
_IDLE_SECONDS = 60.0
_KILL_AFTER_STOPPING_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Plan:
    """``commands`` in order, beginning with WriteStatus where it changed; then look again."""

    status: ExamDeliveryStatus
    commands: tuple[c.Command, ...]
    requeue_seconds: float


def plan(observed: Observed, now: datetime) -> Plan:
    """What to do now. A paused object gets no write at all, not even of its status."""
    stored = observed.object
    if stored.spec.paused:
        return Plan(stored.status, (), _IDLE_SECONDS)
    if stored.metadata.deletion_timestamp is not None and removal.allowed(stored):
        return _removal(observed, now)
    step = phases.next_step(observed, now)
    acts = _actions(observed, step, now)
    status = statuses.next_status(observed, step, acts, template_digest(stored.spec), now)
    return _finished(observed, status, acts, _requeue(observed, step, acts, now), now)


def template_digest(spec: ExamDeliverySpec) -> str:
    """What an exam-client is started with, as far as the spec can change it."""
    return digest(spec.client.model_dump(mode="json"))


def _finished(
    observed: Observed,
    status: ExamDeliveryStatus,
    acts: tuple[c.Command, ...],
    requeue_seconds: float,
    now: datetime,
) -> Plan:
    ordered: list[c.Command] = []
    if status != observed.object.status:
        ordered.append(c.WriteStatus(status))
    ordered.extend(acts)
    body = reporting.registration(observed, status)
    if reporting.due(observed.registered, body, status.phase, now):
        ordered.append(c.RegisterDelivery(body))
    moved = status.phase is not observed.object.status.phase
    return Plan(status, tuple(ordered), _SOON_SECONDS if moved or acts else requeue_seconds)


def _removal(observed: Observed, now: datetime) -> Plan:
    """The object is being deleted and may be: end everything below it, then let it go."""
    status = removal.final_status(observed)
    acts = removal.actions(observed)
    told = reporting.registration(observed, status)
    if acts == (c.ReleaseObject(),) and observed.registered.reply is not None:
        acts = (c.RegisterDelivery(told), *acts)
    written = (c.WriteStatus(status),) if status != observed.object.status else ()
    return Plan(status, (*written, *acts), _SOON_SECONDS * 4)


def _actions(observed: Observed, step: phases.Step, now: datetime) -> tuple[c.Command, ...]:
    """What to do to the world below the object, in this phase."""
    phase = step.phase
    if phase in END_PHASES:
        return _stop_leftover(observed, f"phase {phase}")
    if phase is Phase.ASSIGNED:
        return ()
    if phase is Phase.VALIDATED:
        return _clean_up(observed, now)
    return (
        *_ensure(observed, phase, now),
        *_start(observed, phase, now),
        *_restart(observed, now),
        *_desired(observed, phase, now),
    )


def _ensure(observed: Observed, phase: Phase, now: datetime) -> tuple[c.Command, ...]:
    """Secret and volume are made once. Where answers may have been, a blank one is never made."""
    if phases.data_matters(observed.object, phase, now):
        return ()
    spec, made = observed.object.spec, list[c.Command]()
    reply = observed.registered.reply
    secret = observed.secret
    if secret.state is SecretState.ABSENT and secret.problem is None and reply is not None:
        reference = spec.encryption.key_secret_ref
        made.append(c.EnsureSecret(reply.trust, reference.name if reference else None))
    if observed.volume.state is VolumeState.ABSENT:
        made.append(c.EnsureVolume(spec.storage.size))
    return tuple(made)


def _start(observed: Observed, phase: Phase, now: datetime) -> tuple[c.Command, ...]:
    """A successor needs the file and its key, and nobody else: not even the coordinator."""
    if observed.child is not None and observed.child.alive:
        return ()
    ready = (
        observed.secret.state is SecretState.PRESENT
        and observed.volume.state is VolumeState.PRESENT
        and not phases.data_lost(observed, phase, now)
    )
    delivery_id = statuses.delivery_id(observed)
    if not ready or delivery_id is None or recovery.start_delay(observed.exits, now) > 0:
        return ()
    return (c.StartClient(recovery.next_epoch(observed), delivery_id),)


def _restart(observed: Observed, now: datetime) -> tuple[c.Command, ...]:
    """A person asked for a restart: once per value, gracefully; only a hung one is killed."""
    child = observed.child
    if child is None or not child.alive or not restart_wanted(observed.object):
        return ()
    if child.stopping_since is None:
        return (c.StopClient("RestartRequested"),)
    if _may_kill(child, now):
        return (c.KillClient("it did not answer, nor end when asked to"),)
    return ()


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
    desired = desired_document(observed.object, mode)
    in_force = (client.generation, client.mode, client.fenced)
    if in_force == (desired.generation, desired.mode, desired.fenced):
        return ()
    return (c.PutDesired(desired),)


def desired_document(stored: ExamDelivery, mode: Mode) -> Desired:
    """What the exam-client is to do, whole."""
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
        fenced=stored.metadata.annotations.get(FENCE_ANNOTATION) == "true",
    )


def _clean_up(observed: Observed, now: datetime) -> tuple[c.Command, ...]:
    """Only with the verified receipt in hand, and only after the hold: erase, stop, delete."""
    if not data_validated(observed.object) or not phases.retention_over(observed.object, now):
        return ()
    child, client = observed.child, observed.client
    if child is not None and child.alive:
        if client is None or client.transfer.state != "erased":
            return _desired(observed, Phase.VALIDATED, now)
        return _stop_leftover(observed, "the data is erased")
    gone: list[c.Command] = []
    if observed.secret.state is not SecretState.ABSENT:
        gone.append(c.DeleteSecret("receipt verified"))
    if observed.volume.state is VolumeState.PRESENT:
        gone.append(c.DeleteVolume("receipt verified"))
    return tuple(gone)


def _stop_leftover(observed: Observed, reason: str) -> tuple[c.Command, ...]:
    child = observed.child
    if child is None or not child.alive or child.stopping_since is not None:
        return ()
    return (c.StopClient(reason),)


def _requeue(
    observed: Observed, step: phases.Step, acts: tuple[c.Command, ...], now: datetime
) -> float:
    if step.phase in END_PHASES:
        stopping = observed.child is not None and observed.child.alive
        return _POLL_SECONDS[Phase.VALIDATED] if stopping else _IDLE_SECONDS
    if step.recovering:
        return max(_RECOVERING_POLL_SECONDS, recovery.start_delay(observed.exits, now))
    wait = _POLL_SECONDS[step.phase]
    opens_in = observed.object.spec.window.opens_at - now
    if step.phase is Phase.PREPARED and opens_in > timedelta(0):
        return min(wait, max(_SOON_SECONDS, opens_in.total_seconds()))
    return wait
