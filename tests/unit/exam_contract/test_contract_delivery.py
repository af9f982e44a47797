"""ExamDelivery objects: what is accepted, and for each rule the exact sentence of its refusal."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from exam_contract import delivery, delivery_rules
from exam_contract.delivery import DesiredState, ExamDelivery, ExamDeliverySpec, Phase
from tests.support import golden

Json = dict[str, Any]
UID = golden.load("exam-delivery")["metadata"]["uid"]
OPENS, CLOSES, LATER = "2026-01-15T10:30:00Z", "2026-01-15T12:30:00Z", "2026-01-15T13:00:00Z"
MINIMAL: Json = golden.load("exam-delivery-minimal")["applied"]["spec"]

WINDOW = "window.opensAt must be before window.closesAt; move one of them"
REPLICAS = "replicas must be 1: a delivery has exactly one exam-client"
NODE_LOSS = (
    "nodeLossPolicy Replace needs storage.accessMode ReadWriteOncePod; use Wait or change it"
)
INSIDE = (
    "access.host may not be a name inside the cluster (.svc); give the public host name, or none"
)
OWN = "exam-6f1d3c52-8a07-4c1e-9b7e-0d5a3c2f4e11"
_OWN_SECRET = "can't name a Secret of a delivery's own; make another Secret for it"
OWN_TLS = f"access.tls.secretRef {_OWN_SECRET}"
OWN_KEY = f"encryption.keySecretRef {_OWN_SECRET}"
HOST = "access.host is required for access.type Ingress and HTTPRoute; give the public host name"
EXAM = "exam can't be changed; create another ExamDelivery for another exam version"
STORAGE = "storage can't be changed; the volume exists as it was asked for"
ENCRYPTION = "encryption can't be changed; the data is encrypted with the first key"
ROSTER = "participants.rosterRef can't be changed; the roster is part of the signed bundle"
FORWARD = (
    "desiredState moves forward only; Finalised may go back to Running only while the phase is"
    " Finalising or Transferring and the data is not validated"
)
ABORTED = "desiredState Aborted is allowed only before Finalised; let the delivery finish"
CLOSING = "window.closesAt may be extended, not shortened, once the exam is running"
OPENING = "window.opensAt can't be changed once the exam is running"


def spec(**members: Any) -> ExamDeliverySpec:
    return ExamDeliverySpec.model_validate(MINIMAL | members)


def stored(status: Json | None = None, **members: Any) -> ExamDelivery:
    return ExamDelivery.model_validate(
        {
            "apiVersion": "exams.medxamion.io/v1",
            "kind": "ExamDelivery",
            "metadata": {"name": "spring", "uid": UID},
            "spec": MINIMAL | members,
            "status": status or {},
        }
    )


def window(opens: str = OPENS, closes: str = CLOSES) -> Json:
    return {"window": {"opensAt": opens, "closesAt": closes}}


def validated(status: str = "True") -> Json:
    return {
        "type": "DataValidated", "status": status, "reason": "R", "lastTransitionTime": OPENS,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("members", "path", "message"),
    [
        (window(CLOSES, OPENS), "spec.window", WINDOW),
        (window(OPENS, OPENS), "spec.window", WINDOW),
        ({"replicas": 0}, "spec.replicas", REPLICAS),
        ({"replicas": 2}, "spec.replicas", REPLICAS),
        (
            {
                "recovery": {"nodeLossPolicy": "Replace"},
                "storage": {"accessMode": "ReadWriteOnce"},
            },
            "spec.recovery.nodeLossPolicy",
            NODE_LOSS,
        ),
        ({"access": {"type": "Ingress"}}, "spec.access.host", HOST),
        ({"access": {"type": "HTTPRoute", "host": ""}}, "spec.access.host", HOST),
        ({"access": {"host": "coordinator.medxamion.svc"}}, "spec.access.host", INSIDE),
        ({"access": {"tls": {"secretRef": {"name": f"{OWN}-tls"}}}}, "spec.access.tls", OWN_TLS),
        ({"encryption": {"keySecretRef": {"name": OWN}}}, "spec.encryption", OWN_KEY),
    ],
)
def test_a_spec_that_breaks_a_rule_is_refused(members: Json, path: str, message: str) -> None:
    assert delivery_rules.spec_violations(spec(**members)) == [
        delivery_rules.Violation(path, message)
    ]


@pytest.mark.parametrize(
    "members",
    [
        {},
        {"recovery": {"nodeLossPolicy": "Replace"}},
        {"storage": {"accessMode": "ReadWriteOnce"}},
        {"access": {"type": "Ingress", "host": "exam.example.org"}},
        {"access": {"type": "NodePort"}},
        {"access": {"host": "svc.example.org", "tls": {"secretRef": {"name": "exam-tls"}}}},
        {"encryption": {"keySecretRef": {"name": "exam-key"}}},
    ],
)
def test_a_sound_spec_is_accepted(members: Json) -> None:
    assert delivery_rules.spec_violations(spec(**members)) == []


def test_every_broken_rule_is_said_at_once() -> None:
    broken = delivery_rules.spec_violations(spec(replicas=3, **window(CLOSES, OPENS)))

    assert [violation.path for violation in broken] == ["spec.window", "spec.replicas"]


RUNNING: Json = {"phase": "Running"}


@pytest.mark.parametrize(
    ("status", "old", "new", "path", "message"),
    [
        ({}, {}, {"exam": MINIMAL["exam"] | {"version": "2"}}, "spec.exam", EXAM),
        ({}, {}, {"storage": {"size": "2Gi"}}, "spec.storage", STORAGE),
        ({}, {}, {"encryption": {"keySecretRef": {"name": "k"}}}, "spec.encryption", ENCRYPTION),
        ({}, {}, {"participants": {"rosterRef": "10"}}, "spec.participants.rosterRef", ROSTER),
        ({}, {}, {"desiredState": "Prepared"}, "spec.desiredState", FORWARD),
        (
            {},
            {"desiredState": "Aborted"},
            {"desiredState": "Running"},
            "spec.desiredState",
            FORWARD,
        ),
        (
            {"phase": "Finalising"},
            {"desiredState": "Finalised"},
            {"desiredState": "Prepared"},
            "spec.desiredState",
            FORWARD,
        ),
        (RUNNING, {"desiredState": "Finalised"}, {}, "spec.desiredState", FORWARD),
        (
            {"phase": "Transferring", "conditions": [validated()]},
            {"desiredState": "Finalised"},
            {},
            "spec.desiredState",
            FORWARD,
        ),
        ({"phase": "Validated"}, {"desiredState": "Finalised"}, {}, "spec.desiredState", FORWARD),
        (
            RUNNING,
            {"desiredState": "Finalised"},
            {"desiredState": "Aborted"},
            "spec.desiredState",
            ABORTED,
        ),
        (RUNNING, window(closes=LATER), window(), "spec.window.closesAt", CLOSING),
        (
            {"phase": "Recovering", "resumePhase": "Running"},
            window(closes=LATER),
            window(),
            "spec.window.closesAt",
            CLOSING,
        ),
        (RUNNING, {}, window("2026-01-15T10:00:00Z"), "spec.window.opensAt", OPENING),
    ],
)
def test_a_change_that_breaks_a_rule_is_refused(
    status: Json, old: Json, new: Json, path: str, message: str
) -> None:
    found = delivery_rules.update_violations(stored(status, **old), spec(**new))

    assert found == [delivery_rules.Violation(path, message)]


@pytest.mark.parametrize(
    ("status", "old", "new"),
    [
        ({}, {}, {}),
        ({}, {"desiredState": "Assigned"}, {"desiredState": "Prepared"}),
        ({}, {}, {"desiredState": "Finalised"}),
        (RUNNING, {}, {"desiredState": "Aborted"}),
        ({"phase": "Finalising"}, {"desiredState": "Finalised"}, window(closes=LATER)),
        ({"phase": "Transferring"}, {"desiredState": "Finalised"}, {}),
        (
            {"phase": "Transferring", "conditions": [validated("False")]},
            {"desiredState": "Finalised"},
            {},
        ),
        (
            {"phase": "Recovering", "resumePhase": "Transferring"},
            {"desiredState": "Finalised"},
            {},
        ),
        (RUNNING, {}, window(closes=LATER)),
        ({"phase": "Prepared"}, window(closes=LATER), window("2026-01-15T09:00:00Z")),
        ({"phase": "Recovering", "resumePhase": "Prepared"}, window(closes=LATER), window()),
        (RUNNING, {}, {"timeLimitSeconds": 60, "paused": True, "transfer": {"deadline": "2h"}}),
        (RUNNING, {}, {"participants": {"rosterRef": "9", "maxCount": 300}}),
    ],
)
def test_an_allowed_change_is_accepted(status: Json, old: Json, new: Json) -> None:
    assert delivery_rules.update_violations(stored(status, **old), spec(**new)) == []


def test_a_change_is_held_to_the_rules_of_creation_too() -> None:
    found = delivery_rules.update_violations(stored(), spec(replicas=2))

    assert found == [delivery_rules.Violation("spec.replicas", REPLICAS)]


def test_every_rule_is_refused_somewhere_above() -> None:
    """So that no rule is added without a case that breaks it."""
    known = {
        WINDOW, REPLICAS, NODE_LOSS, HOST, EXAM, STORAGE, ENCRYPTION, ROSTER, FORWARD, ABORTED,
        CLOSING, OPENING, INSIDE, OWN_TLS, OWN_KEY,
    }  # fmt: skip
    spoken = {rule.message for rule in delivery_rules.SPEC_RULES}

    assert spoken | {rule.message for rule in delivery_rules.UPDATE_RULES} == known


@given(st.sampled_from(DesiredState), st.sampled_from(DesiredState), st.sampled_from(Phase))
def test_the_desired_state_only_ever_goes_back_by_the_rollback(
    old: DesiredState, new: DesiredState, phase: Phase
) -> None:
    states = list(DesiredState)
    found = delivery_rules.update_violations(
        stored({"phase": phase}, desiredState=old), spec(desiredState=new)
    )
    back = states.index(new) < states.index(old)
    rollback = (old, new) == ("Finalised", "Running") and phase in ("Finalising", "Transferring")

    assert (FORWARD in [violation.message for violation in found]) == (back and not rollback)


@pytest.mark.parametrize(
    ("status", "annotation", "allowed"),
    [
        ({"phase": "Running", "counts": {"started": 1}}, None, False),
        ({"phase": "Running", "counts": {"started": 1}}, "another-uid", False),
        ({"phase": "Running", "counts": {"started": 1}}, UID, True),
        ({"phase": "Running", "counts": {"started": 0}}, None, True),
        ({"phase": "Recovering", "resumePhase": "Running", "counts": {"started": 1}}, None, False),
        ({"phase": "Recovering", "counts": {"started": 1}}, None, False),
        ({"phase": "Validated", "counts": {"started": 1}}, None, True),
        ({"phase": "CleanedUp", "counts": {"started": 1}}, None, True),
        ({"phase": "Aborted", "counts": {"started": 1}}, None, True),
        ({"phase": "Failed", "counts": {"started": 1}}, None, True),
    ],
)
def test_when_an_object_may_be_deleted(status: Json, annotation: str | None, allowed: bool) -> None:
    assert delivery_rules.delete_allowed(stored(status), annotation) is allowed


def test_an_object_without_uid_is_not_given_up_by_an_absent_annotation() -> None:
    unborn = stored({"phase": "Running", "counts": {"started": 1}})
    unborn = unborn.model_copy(update={"metadata": delivery.ObjectMeta(name="spring")})

    assert not delivery_rules.delete_allowed(unborn, None)


@pytest.mark.parametrize(
    ("members", "place"),
    [
        ({"surprise": 1}, "surprise"),
        ({"timeLimitSeconds": "3600"}, "timeLimitSeconds"),
        ({"timeLimitSeconds": 0}, "timeLimitSeconds"),
        ({"timeLimitSeconds": 604_801}, "timeLimitSeconds"),
        ({"timeLimitSeconds": 1.5}, "timeLimitSeconds"),
        ({"paused": "yes"}, "paused"),
        ({"replicas": -1}, "replicas"),
        ({"desiredState": "Started"}, "desiredState"),
        ({"window": {"opensAt": OPENS}}, "window.closesAt"),
        (window("2026-01-15"), "window.opensAt"),
        (window(opens="1768473000"), "window.opensAt"),
        ({"exam": {"id": "a", "version": "1"}}, "exam.contentDigest"),
        ({"exam": MINIMAL["exam"] | {"contentDigest": "sha256:12"}}, "exam.contentDigest"),
        ({"participants": {"rosterRef": "a b"}}, "participants.rosterRef"),
        ({"participants": {"rosterRef": "9", "maxCount": 20_001}}, "participants.maxCount"),
        ({"storage": {"size": "1 GB"}}, "storage.size"),
        ({"storage": {"retention": "1d"}}, "storage.retention"),
        ({"transfer": {"deadline": ""}}, "transfer.deadline"),
        ({"access": {"port": 65_536}}, "access.port"),
        ({"access": {"type": "LoadBalancer"}}, "access.type"),
    ],
)
def test_a_malformed_spec_is_refused_at_its_field(members: Json, place: str) -> None:
    with pytest.raises(ValidationError) as caught:
        ExamDeliverySpec.model_validate(MINIMAL | members)

    assert place in {".".join(map(str, error["loc"])) for error in caught.value.errors()}


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("0s", 0), ("90s", 90), ("5m", 300), ("1h", 3600), ("1h30m", 5400), ("1h1m1s", 3661)],
)
def test_a_duration_in_seconds(text: str, seconds: int) -> None:
    assert delivery.duration_seconds(text) == seconds


@pytest.mark.parametrize(
    "text", ["1", "h", "1d", "-1s", "1.5h", "1h 30m", "1s1s1s1s", "٣s", "1s\n"]
)
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(delivery.Duration).validate_python(text)


@pytest.mark.parametrize("text", ["1", "500m", "1.5", "1Gi", "128Ki", "2T"])
def test_a_quantity_is_accepted(text: str) -> None:
    assert TypeAdapter(delivery.Quantity).validate_python(text) == text


@pytest.mark.parametrize("text", ["", "-1", "1GB", "Gi", "1 Gi", "1e3"])
def test_what_is_no_quantity_is_refused(text: str) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(delivery.Quantity).validate_python(text)


def test_more_metadata_of_kubernetes_is_kept_out_of_the_way() -> None:
    read = delivery.ObjectMeta.model_validate({"name": "a", "managedFields": [{"manager": "m"}]})

    assert read == delivery.ObjectMeta(name="a")
