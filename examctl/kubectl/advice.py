"""What troubles a delivery and what a person can do about it: pure, from the object alone.

Where a condition's message already says the mend, the advice adds the command.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass

from exam_contract.delivery import (
    DISCARD_ANNOTATION,
    END_PHASES,
    FENCE_ANNOTATION,
    RESTART_ANNOTATION,
    Condition,
    ExamDelivery,
    Phase,
)
from examctl.condition_words import words
from examctl.kubectl.deliveries import condition, is_true

_OPERATOR = "`kubectl get pods -A -l app.kubernetes.io/name=operator` shows whether it runs"
_RESTART = "`kubectl exam restart {name} -n {namespace}` starts it anew from its file"
_POD = "`kubectl describe pod exam-{uid} -n {namespace}` has the details"
_CLAIM = "`kubectl describe pvc exam-{uid} -n {namespace}` has the details"
_LEAVE = "nothing has to be done: it heals by itself once the cause is gone"
_ACTIONS = {
    "AdmissionRefused": "the message says who forbids it: a LimitRange, Pod Security, a policy, or"
    " what is missing in {namespace}; the operator tries on",
    "CertificateExpired": f"find out why it was not renewed: {_OPERATOR}",
    "CertificatePending": "look at the issuer: `kubectl describe certificate -n {namespace}`",
    "ClientEnded": f"it is brought back by itself; {_POD}",
    "ClientNotReady": _LEAVE,
    "ContentMismatch": "import the exam version that the digest belongs to, or apply another",
    "CoordinatorSilent": "see to the coordinator; an exam that was prepared does not need it",
    "CrashLoop": "`kubectl logs exam-{uid} -n {namespace} --previous` says why it ends",
    "FailedAttachVolume": _POD + "; the node that held the volume last may hold it still",
    "FailedCreatePodSandBox": "see to the node's network; " + _POD,
    "FailedMount": _POD + "; it starts by itself once what it mounts is there",
    "Forbidden": "the operator lacks a right: upgrade the chart, or give its Role back",
    "ImagePullBackOff": "correct spec.client.image, or client.image of the chart; " + _POD,
    "KeySecretUnusable": "put 32 bytes under storage.key into the Secret that the spec names",
    "NameTaken": "remove the object that the message names; it is not this delivery's",
    "NoAnswer": _LEAVE,
    "NoClient": "the operator starts it; " + _OPERATOR,
    "NodeNotReady": "mend the node. If it is gone for good, `kubectl delete node` it, or taint it"
    " node.kubernetes.io/out-of-service: then a successor may start",
    "NotAnswering": _RESTART,
    "OrphanedVolume": "move the volume claim exam-{uid} of another object away",
    "ProvisioningFailed": _CLAIM
    + "; correct the storage class, or delete and apply anew with another",
    "QuotaExceeded": "raise the quota of {namespace} or free some of it",
    "QuotaUnanswered": "give {namespace} a LimitRange with a default for what the quota counts",
    "ReceiptRejected": "nothing is erased without a right receipt; take a backup by `kubectl exam"
    " export {name} -n {namespace}` and see to the coordinator",
    "RegistrationRefused": "import exam version and roster at the coordinator, as the message says",
    "SecretDamaged": "put the Secret exam-{uid} back from a backup; the running exam goes on, but a"
    " restart would fail. Take a backup first: `kubectl exam export {name} -n {namespace}`",
    "SecretMissing": "put the Secret exam-{uid} back from a backup; the running exam goes on, but"
    " a restart would fail",
    "SecretNotReady": "`kubectl get secret exam-{uid} -n {namespace}` shows whether it is there",
    "StartedAnew": "put the right volume back, then " + _RESTART,
    "StorageFull": "let the volume claim exam-{uid} grow; reading goes on meanwhile",
    "StorageLost": "do not restart it while it runs: what it holds is all there is. Put the volume"
    " or the Secret back. To give the data up for good: `kubectl annotate examdelivery {name}"
    " -n {namespace} " + DISCARD_ANNOTATION + "={uid}`",
    "StorageNotReady": _CLAIM,
    "TooManyRestarts": "`kubectl logs exam-{uid} -n {namespace} --previous` says why it ends",
    "TransferLate": "see to the coordinator and its database; the transfer is tried on and on",
    "Unschedulable": "make room on the nodes; " + _POD,
    "VolumeDeletionPending": "do not restart it: close the exam and let it transfer. A backup now:"
    " `kubectl exam export {name} -n {namespace}`",
}


@dataclass(frozen=True, slots=True)
class Advice:
    """``trouble``: the reason as conditions have it; ``action``: what a person can do."""

    trouble: str
    told: str
    action: str

    def to_dict(self) -> dict[str, str]:
        return asdict(self)


def advice(stored: ExamDelivery) -> list[Advice]:
    """Every trouble once, the gravest first; empty when nobody has to do anything."""
    found: dict[str, Advice] = {}
    for one in (*_of_conditions(stored), *_of_requests(stored)):
        found.setdefault(one.trouble, one)
    return list(found.values())


def _of_conditions(stored: ExamDelivery) -> Iterator[Advice]:
    degraded = condition(stored, "Degraded")
    if degraded is not None and degraded.status == "True":
        yield _about(stored, degraded)
    if stored.status.phase in END_PHASES:
        return
    for type_ in ("StorageReady", "ContentReady", "ClientHealthy"):
        told = condition(stored, type_)
        waits = told is not None and told.reason in ("Opening", "Waiting", "Fetching", "Erased")
        if told is not None and told.status == "False" and not waits:
            yield _about(stored, told)
    if stored.status.phase is Phase.RECOVERING:
        said = f"it is being brought back, to resume {stored.status.resume_phase}"
        yield Advice("Recovering", said, "wait: it continues from its file by itself")
    template = condition(stored, "PendingTemplate")
    if template is not None and template.status == "True":
        yield Advice("PendingTemplate", words(template), _filled(_RESTART, stored))


def _about(stored: ExamDelivery, told: Condition) -> Advice:
    action = _ACTIONS.get(
        told.reason, "`kubectl exam report {name} -n {namespace}` gathers the facts"
    )
    return Advice(told.reason, words(told), _filled(action, stored))


def _of_requests(stored: ExamDelivery) -> Iterator[Advice]:
    """What people asked for and what stands in its way."""
    spec, status, meta = stored.spec, stored.status, stored.metadata
    if spec.paused:
        said = "spec.paused is true: the operator writes nothing, and no request is carried out"
        mend = "`kubectl edit examdelivery {name} -n {namespace}` and set spec.paused to false"
        yield Advice("Paused", said, _filled(mend, stored))
    if status.observed_generation < meta.generation:
        said = "the operator has not seen the last edit of the spec"
        yield Advice("NotSeen", said, _OPERATOR)
    if status.phase in END_PHASES:
        return
    yield from _of_fence(stored)
    asked = meta.annotations.get(RESTART_ANNOTATION)
    if asked and asked != status.restarts.last_requested_at:
        said = f"a restart was asked for at {asked} and is not carried out yet"
        yield Advice("RestartPending", said, f"wait; if it lasts, {_OPERATOR}")


def _of_fence(stored: ExamDelivery) -> Iterator[Advice]:
    asked, fenced = fence_asked(stored), is_true(stored, "WriterFenced")
    if asked and not fenced:
        said = "a fence was asked for and is not confirmed: answers may still be accepted"
        yield Advice("FencePending", said, f"wait; if it lasts, {_OPERATOR}")
    elif asked:
        said = "a person fenced it: it stays up and accepts no answer"
        mend = "`kubectl exam unfence {name} -n {namespace}` lets it go on"
        yield Advice("Fenced", said, _filled(mend, stored))
    elif fenced:
        said = "it is fenced though nobody asks for it: accepted answers would be at risk"
        yield Advice("Fenced", said, "see what else is told here; it is let go once that is mended")


def fence_asked(stored: ExamDelivery) -> bool:
    return stored.metadata.annotations.get(FENCE_ANNOTATION) == "true"


def _filled(text: str, stored: ExamDelivery) -> str:
    meta = stored.metadata
    return text.format(name=meta.name, namespace=meta.namespace, uid=meta.uid)
