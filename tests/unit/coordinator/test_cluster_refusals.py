"""What the API server refuses, in our words and at our paths."""

from typing import Any

import httpx
import pytest

from coordinator.adapters.cluster_objects import refusal
from coordinator.errors import Conflict, NotFound, NotReady, Refused, RuleViolated

Json = dict[str, Any]


def refused(code: int, message: str = "", reason: str = "", **details: Any) -> Refused:
    body = {"kind": "Status", "message": message, "reason": reason, "details": details}
    return refusal(httpx.Response(code, json=body))


@pytest.mark.parametrize(
    ("message", "sentence"),
    [
        (
            'Invalid value: "object": opensAt must be before: it is not',
            "opensAt must be before: it is not",
        ),
        ('Invalid value: "a \\"b\\": c": is wrong', "is wrong"),
        ('Invalid value: {"a": [1, "x: y"]}: is wrong', "is wrong"),
        ("Invalid value: 7: spec.replicas is wrong", "spec.replicas is wrong"),
        ("Invalid value: null", "Invalid value: null"),
        ("Invalid value: what: is wrong", "Invalid value: what: is wrong"),
        ("Required value", "Required value"),
        ("Too long: may not be more than 63 bytes", "Too long: may not be more than 63 bytes"),
    ],
)
def test_a_causes_sentence_stands_without_the_value_in_front(message: str, sentence: str) -> None:
    error = refused(422, "long", "Invalid", causes=[{"field": "spec.window", "message": message}])
    assert isinstance(error, RuleViolated)
    assert error.members == {"errors": [{"path": "spec.window", "message": sentence}]}
    assert error.detail == sentence


def test_every_cause_keeps_its_place() -> None:
    causes = [{"field": "spec.a", "message": "one"}, {"field": "spec.b", "message": "two"}]
    assert refused(422, "", "Invalid", causes=causes).members["errors"] == [
        {"path": "spec.a", "message": "one"},
        {"path": "spec.b", "message": "two"},
    ]


@pytest.mark.parametrize("code", [403, 422])
def test_an_admission_policys_sentence_stands_without_its_name(code: int) -> None:
    said = (
        'examdeliveries.exams.medxamion.io "d" is forbidden: ValidatingAdmissionPolicy'
        " 'p' with binding 'b' denied request: data: untransferred"
    )
    error = refused(code, said, "Invalid", name="d")
    assert isinstance(error, RuleViolated)
    assert error.members["errors"] == [{"path": "metadata.name", "message": "data: untransferred"}]


def test_a_webhooks_sentence_stands_without_its_name() -> None:
    error = refused(403, 'admission webhook "w.example" denied the request: not on Sundays')
    assert error.detail == "not on Sundays"


def test_a_missing_right_names_the_namespace_and_the_mend() -> None:
    error = refused(
        403,
        'examdeliveries.exams.medxamion.io is forbidden: User "system:serviceaccount:m:c" cannot'
        ' create resource "examdeliveries" in API group "exams.medxamion.io" in the namespace "x"',
        "Forbidden",
    )
    assert isinstance(error, RuleViolated)
    assert error.members["errors"][0]["path"] == "metadata.namespace"  # type: ignore[index]
    assert "no right to create deliveries in x" in error.detail
    assert "values.deliveryNamespaces" in error.detail


def test_a_quota_is_told_as_it_stands() -> None:
    said = 'examdeliveries.exams.medxamion.io "d" is forbidden: exceeded quota: q, used: 5'
    assert refused(403, said, "Forbidden", name="d").detail == "exceeded quota: q, used: 5"


@pytest.mark.parametrize(
    ("error", "kind", "word"),
    [
        (
            refused(409, "already exists", "AlreadyExists", name="d"),
            Conflict,
            "choose another name",
        ),
        (refused(409, "modified", "Conflict", name="d"), Conflict, "read it again"),
        (refused(404, "not found", "NotFound", name="d"), NotFound, "does not exist any more"),
        (refused(404, "the server could not find it", "NotFound"), NotReady, "CRD"),
        (refused(404, "", "NotFound", name="x", kind="namespaces"), RuleViolated, "namespace x"),
        (refused(401, "Unauthorized", "Unauthorized"), NotReady, "ServiceAccount token"),
        (refused(429, "too many requests", "TooManyRequests"), NotReady, "too many requests"),
        (refused(500, "etcd: leader changed", "InternalError"), NotReady, "leader changed"),
        (refusal(httpx.Response(502, text="<html>")), NotReady, "status 502"),
        (refusal(httpx.Response(500, json=["odd"])), NotReady, "status 500"),
    ],
)
def test_each_refusal_has_its_error_and_words(error: Refused, kind: type, word: str) -> None:
    assert type(error) is kind
    assert word in error.detail


def test_a_field_that_the_cluster_does_not_know_is_named() -> None:
    said = 'strict decoding error: unknown field "spec.new", unknown field "spec.client.newer"'
    paths = [fault["path"] for fault in refused(400, said, "BadRequest").members["errors"]]  # type: ignore[attr-defined]
    assert paths == ["spec.new", "spec.client.newer"]
