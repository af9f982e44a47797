"""The door of the process edge: the table of accepted and rejected objects, and its words."""

import pytest

from exam_operator.errors import ObjectInvalid
from exam_operator.local import admission
from tests.support import deliveries
from tests.support.examdelivery_table import CHANGES, NEW_OBJECTS, Change, NewObject


def by_name(case: Change | NewObject) -> str:
    return case.name


@pytest.mark.parametrize("case", NEW_OBJECTS, ids=by_name)
def test_a_new_object(case: NewObject) -> None:
    if case.accepted:
        admission.admit_new(admission.parse(case.document()))
        return
    with pytest.raises(ObjectInvalid) as refused:
        admission.admit_new(admission.parse(case.document()))
    assert [fault.path for fault in refused.value.faults] == [case.path]
    assert case.says in refused.value.faults[0].message
    assert len(refused.value.faults[0].message) > 8, "words, not a code"


@pytest.mark.parametrize("case", CHANGES, ids=by_name)
def test_a_change(case: Change) -> None:
    standing, wanted = case.documents()
    stored = admission.parse(standing).model_copy(update={"status": case.status()})
    if case.accepted:
        admission.admit_change(stored, admission.parse(wanted))
        return
    with pytest.raises(ObjectInvalid) as refused:
        admission.admit_change(stored, admission.parse(wanted))
    assert refused.value.faults[0].path == case.path
    assert case.says in refused.value.faults[0].message


def test_an_unknown_field_names_the_nearest_known_one() -> None:
    wanted = deliveries.document()
    wanted["spec"]["window"]["closeAt"] = wanted["spec"]["window"].pop("closesAt")
    with pytest.raises(ObjectInvalid) as refused:
        admission.parse(wanted)
    said = {fault.path: fault.message for fault in refused.value.faults}
    assert said == {
        "spec.window.closesAt": "is required",
        "spec.window.closeAt": "unknown field; did you mean closesAt?",
    }


def test_every_fault_is_told_at_once() -> None:
    wanted = deliveries.document()
    del wanted["spec"]["exam"]["version"]
    wanted["spec"]["timeLimitSeconds"] = -1
    wanted["spec"]["colour"] = "red"
    with pytest.raises(ObjectInvalid) as refused:
        admission.parse(wanted)
    assert {fault.path for fault in refused.value.faults} == {
        "spec.exam.version",
        "spec.timeLimitSeconds",
        "spec.colour",
    }


@pytest.mark.parametrize("document", [None, [], "text", 3, {}])
def test_what_is_no_object_at_all(document: object) -> None:
    with pytest.raises(ObjectInvalid):
        admission.parse(document)


def test_a_status_that_somebody_sends_is_not_taken() -> None:
    wanted = {**deliveries.document(), "status": {"phase": "CleanedUp"}}
    assert admission.parse(wanted).status.phase == "Assigned"
