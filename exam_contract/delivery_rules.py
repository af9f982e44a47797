"""The rules of ExamDelivery objects that one field's type can't say, each with its sentence.

Every door applies them and speaks the same sentence at the same field path. Rules on creation see
the object; rules on update see the stored object (with its status) and the new spec.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from exam_contract.delivery import (
    DISCARD_ANNOTATION,
    DesiredState,
    ExamDelivery,
    ExamDeliverySpec,
    Phase,
)

_ORDER = {state: rank for rank, state in enumerate(DesiredState)}
_ROLLBACK_PHASES = frozenset({Phase.FINALISING, Phase.TRANSFERRING})
_INSIDE = "(?i)[.]svc([.]cluster[.]local)?[.]?$"
_OWN_SECRET = "^exam-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_OWN_SECRET_REFUSED = "can't name a Secret of a delivery's own; make another Secret for it"
_DELETABLE = frozenset({Phase.VALIDATED, Phase.CLEANED_UP, Phase.ABORTED, Phase.FAILED})


@dataclass(frozen=True, slots=True)
class Violation:
    """``path``: dotted field path; ``message``: what is wrong and what to do."""

    path: str
    message: str


@dataclass(frozen=True, slots=True)
class SpecRule:
    """Holds for every stored spec. ``cel`` says the same over ``self``, the spec."""

    path: str
    message: str
    holds: Callable[[ExamDeliverySpec], bool]
    cel: str


@dataclass(frozen=True, slots=True)
class UpdateRule:
    """Holds between the stored object and the new spec. ``cel``: the same over the whole objects.

    CEL sees ``self`` and ``oldSelf`` at the root, since some rules read the status.
    """

    path: str
    message: str
    holds: Callable[[ExamDelivery, ExamDeliverySpec], bool]
    cel: str


def effective_phase(stored: ExamDelivery) -> Phase:
    """The phase that rules read: while Recovering, the phase it replaced."""
    status = stored.status
    if status.phase is Phase.RECOVERING and status.resume_phase is not None:
        return status.resume_phase
    return status.phase


def data_validated(stored: ExamDelivery) -> bool:
    """Whether condition DataValidated is True."""
    return any(c.type == "DataValidated" and c.status == "True" for c in stored.status.conditions)


def rollback_allowed(stored: ExamDelivery) -> bool:
    """Finalised may go back to Running only while closing or transferring, before validation."""
    return effective_phase(stored) in _ROLLBACK_PHASES and not data_validated(stored)


def inside_cluster(host: str) -> bool:
    """Whether it names a Service: a certificate for it would let its holder pass for another."""
    return re.search(_INSIDE, host) is not None


def _key_is_not_a_deliverys(spec: ExamDeliverySpec) -> bool:
    reference = spec.encryption.key_secret_ref
    return reference is None or re.search(_OWN_SECRET, reference.name) is None


def _certificate_is_not_a_deliverys(spec: ExamDeliverySpec) -> bool:
    tls = spec.access.tls
    return tls is None or re.search(_OWN_SECRET, tls.secret_ref.name) is None


def _forward_or_rollback(stored: ExamDelivery, new: ExamDeliverySpec) -> bool:
    old_state, new_state = stored.spec.desired_state, new.desired_state
    if _ORDER[new_state] >= _ORDER[old_state]:
        return True
    is_rollback = (old_state, new_state) == (DesiredState.FINALISED, DesiredState.RUNNING)
    return is_rollback and rollback_allowed(stored)


def _abort_before_finalised(stored: ExamDelivery, new: ExamDeliverySpec) -> bool:
    aborts = new.desired_state is DesiredState.ABORTED
    return not (aborts and stored.spec.desired_state is DesiredState.FINALISED)


def _window_only_extends(stored: ExamDelivery, new: ExamDeliverySpec) -> bool:
    live = effective_phase(stored) not in (Phase.ASSIGNED, Phase.PREPARING, Phase.PREPARED)
    return not live or new.window.closes_at >= stored.spec.window.closes_at


def _opening_is_kept(stored: ExamDelivery, new: ExamDeliverySpec) -> bool:
    live = effective_phase(stored) not in (Phase.ASSIGNED, Phase.PREPARING, Phase.PREPARED)
    return not live or new.window.opens_at == stored.spec.window.opens_at


# The CEL spelling of the helpers above; a map literal is cheap where indexOf on a list is not.
_CEL_PHASE = (
    "(oldSelf.status.phase == 'Recovering' && has(oldSelf.status.resumePhase)"
    " ? oldSelf.status.resumePhase : oldSelf.status.phase)"
)
_CEL_RANKS = "{" + ", ".join(f"'{state}': {rank}" for state, rank in _ORDER.items()) + "}"
_CEL_LIVE = (
    "(has(oldSelf.status) && has(oldSelf.status.phase)"
    f" && !({_CEL_PHASE} in ['Assigned', 'Preparing', 'Prepared']))"
)
_CEL_ROLLBACK = (
    "(oldSelf.spec.desiredState == 'Finalised' && self.spec.desiredState == 'Running'"
    " && has(oldSelf.status) && has(oldSelf.status.phase)"
    f" && {_CEL_PHASE} in ['Finalising', 'Transferring']"
    " && !(has(oldSelf.status.conditions) && oldSelf.status.conditions.exists(c,"
    " c.type == 'DataValidated' && c.status == 'True')))"
)
_CEL_DELETABLE = str([str(phase) for phase in Phase if phase in _DELETABLE])
# delete_allowed, over the object that a DELETE would take away. Only an admission policy sees
# annotations.
DELETE_ALLOWED_CEL = (
    "(has(oldObject.metadata.annotations)"
    f" && '{DISCARD_ANNOTATION}' in oldObject.metadata.annotations"
    f" && oldObject.metadata.annotations['{DISCARD_ANNOTATION}'] == oldObject.metadata.uid)"
    " || !has(oldObject.status) || !has(oldObject.status.counts)"
    " || !has(oldObject.status.counts.started) || oldObject.status.counts.started == 0"
    " || (has(oldObject.status.phase)"
    f" && {_CEL_PHASE.replace('oldSelf', 'oldObject')}"
    f" in {_CEL_DELETABLE})"
)


def _cel_unchanged(field: str) -> str:
    new, old = f"self.spec.{field}", f"oldSelf.spec.{field}"
    return f"has({new}) == has({old}) && (!has({new}) || {new} == {old})"


SPEC_RULES = (
    SpecRule(
        "spec.window",
        "window.opensAt must be before window.closesAt; move one of them",
        lambda spec: spec.window.opens_at < spec.window.closes_at,
        "self.window.opensAt < self.window.closesAt",
    ),
    SpecRule(
        "spec.replicas",
        "replicas must be 1: a delivery has exactly one exam-client",
        lambda spec: spec.replicas == 1,
        "self.replicas == 1",
    ),
    SpecRule(
        "spec.recovery.nodeLossPolicy",
        "nodeLossPolicy Replace needs storage.accessMode ReadWriteOncePod; use Wait or change it",
        lambda spec: (
            spec.recovery.node_loss_policy == "Wait"
            or spec.storage.access_mode == "ReadWriteOncePod"
        ),
        "self.recovery.nodeLossPolicy == 'Wait' || self.storage.accessMode == 'ReadWriteOncePod'",
    ),
    SpecRule(
        "spec.access.host",
        "access.host is required for access.type Ingress and HTTPRoute; give the public host name",
        lambda spec: spec.access.type not in ("Ingress", "HTTPRoute") or bool(spec.access.host),
        "!(self.access.type in ['Ingress', 'HTTPRoute'])"
        " || (has(self.access.host) && size(self.access.host) > 0)",
    ),
    SpecRule(
        "spec.access.host",
        "access.host may not be a name inside the cluster (.svc); give the public host name,"
        " or none",
        lambda spec: spec.access.host is None or not inside_cluster(spec.access.host),
        f"!has(self.access.host) || !self.access.host.matches('{_INSIDE}')",
    ),
    SpecRule(
        "spec.access.tls",
        f"access.tls.secretRef {_OWN_SECRET_REFUSED}",
        _certificate_is_not_a_deliverys,
        f"!has(self.access.tls) || !self.access.tls.secretRef.name.matches('{_OWN_SECRET}')",
    ),
    SpecRule(
        "spec.encryption",
        f"encryption.keySecretRef {_OWN_SECRET_REFUSED}",
        _key_is_not_a_deliverys,
        "!has(self.encryption.keySecretRef)"
        f" || !self.encryption.keySecretRef.name.matches('{_OWN_SECRET}')",
    ),
)

UPDATE_RULES = (
    UpdateRule(
        "spec.exam",
        "exam can't be changed; create another ExamDelivery for another exam version",
        lambda stored, new: stored.spec.exam == new.exam,
        _cel_unchanged("exam"),
    ),
    UpdateRule(
        "spec.storage",
        "storage can't be changed; the volume exists as it was asked for",
        lambda stored, new: stored.spec.storage == new.storage,
        _cel_unchanged("storage"),
    ),
    UpdateRule(
        "spec.encryption",
        "encryption can't be changed; the data is encrypted with the first key",
        lambda stored, new: stored.spec.encryption == new.encryption,
        _cel_unchanged("encryption"),
    ),
    UpdateRule(
        "spec.participants.rosterRef",
        "participants.rosterRef can't be changed; the roster is part of the signed bundle",
        lambda stored, new: stored.spec.participants.roster_ref == new.participants.roster_ref,
        "self.spec.participants.rosterRef == oldSelf.spec.participants.rosterRef",
    ),
    UpdateRule(
        "spec.desiredState",
        "desiredState moves forward only; Finalised may go back to Running only while the phase is"
        " Finalising or Transferring and the data is not validated",
        _forward_or_rollback,
        f"{_CEL_RANKS}[self.spec.desiredState] >= {_CEL_RANKS}[oldSelf.spec.desiredState]"
        f" || {_CEL_ROLLBACK}",
    ),
    UpdateRule(
        "spec.desiredState",
        "desiredState Aborted is allowed only before Finalised; let the delivery finish",
        _abort_before_finalised,
        "!(self.spec.desiredState == 'Aborted' && oldSelf.spec.desiredState == 'Finalised')",
    ),
    UpdateRule(
        "spec.window.closesAt",
        "window.closesAt may be extended, not shortened, once the exam is running",
        _window_only_extends,
        f"!{_CEL_LIVE} || self.spec.window.closesAt >= oldSelf.spec.window.closesAt",
    ),
    UpdateRule(
        "spec.window.opensAt",
        "window.opensAt can't be changed once the exam is running",
        _opening_is_kept,
        f"!{_CEL_LIVE} || self.spec.window.opensAt == oldSelf.spec.window.opensAt",
    ),
)

DELETE_REFUSED = (
    "this delivery holds data that was not transferred; let it finish, or set the annotation"
    " exams.medxamion.io/discard-untransferred-data to its uid to give the data up"
)


def spec_violations(spec: ExamDeliverySpec) -> list[Violation]:
    """Every rule on creation that the spec breaks."""
    return [Violation(rule.path, rule.message) for rule in SPEC_RULES if not rule.holds(spec)]


def update_violations(stored: ExamDelivery, new: ExamDeliverySpec) -> list[Violation]:
    """Every rule that storing the new spec would break."""
    broken = [rule for rule in UPDATE_RULES if not rule.holds(stored, new)]
    return spec_violations(new) + [Violation(rule.path, rule.message) for rule in broken]


def delete_allowed(stored: ExamDelivery, discard_annotation: str | None) -> bool:
    """DELETE is allowed at the ends, before any attempt, or when a person gave the data up."""
    if stored.metadata.uid is not None and discard_annotation == stored.metadata.uid:
        return True
    return effective_phase(stored) in _DELETABLE or stored.status.counts.started == 0
