"""Documents of before must keep meaning what they meant: each file parses and is written unchanged.

A change of the contract that breaks one of these files breaks a delivery that is under way. Add
files for new documents; never edit an old one.
"""

import importlib
import pkgutil
from collections.abc import Iterator

import pytest
from pydantic import BaseModel, ValidationError

import exam_contract
from exam_contract import base, delivery, events
from tests.support import golden

EVENTS = [name for name in golden.READERS if name.startswith("event-") and name != "event-batch"]


@pytest.mark.parametrize("name", golden.READERS)
def test_a_golden_document_is_written_as_it_was_read(name: str) -> None:
    assert golden.render(golden.read(name)) == golden.text(name)


def test_every_golden_file_is_read_by_a_test() -> None:
    found = {path.stem for path in golden.FOLDER.glob("*.json")}

    assert found == set(golden.READERS) | golden.SPECIAL


@pytest.mark.parametrize("name", sorted(set(golden.READERS) - {"problem"}))
def test_an_unknown_member_is_refused(name: str) -> None:
    """What one side does not know is an error; only a problem may carry further members."""
    with pytest.raises(ValidationError, match="Extra inputs"):
        golden.READERS[name].validate_python(golden.load(name) | {"surprise": 1})


@pytest.mark.parametrize("name", EVENTS)
def test_an_events_digest_covers_its_other_members(name: str) -> None:
    event = golden.load(name)

    assert events.event_digest(event) == event["digest"]
    assert events.event_digest(event | {"seq": event["seq"] + 1}) != event["digest"]


def test_the_originals_events_keep_their_field_names() -> None:
    common = {"event_type", "delivery_id", "participant_id", "timestamp"}
    progress = {"questions_answered", "total_questions", "current_score", "time_remaining"}
    answered = golden.load("event-answer-submitted")

    assert common <= set(golden.load("event-participant-started"))
    assert common | {"progress"} <= set(answered)
    assert progress <= set(answered["progress"])
    assert common | {"final_score"} <= set(golden.load("event-participant-completed"))


def test_a_registration_without_a_discard_is_written_as_older_coordinators_read_it() -> None:
    plain = golden.read("delivery-registration").model_dump(mode="json")

    assert "discarded" not in plain


def test_a_minimal_object_is_stored_with_its_defaults() -> None:
    case = golden.load("exam-delivery-minimal")

    stored = delivery.ExamDelivery.model_validate(case["applied"]).to_dict()

    assert case["stored"].items() <= stored.items()


def test_every_model_stands_in_a_golden_document() -> None:
    """A new model needs a file here, since from now on others rely on how it is written."""
    seen = {type(part) for name in golden.READERS for part in _parts(golden.read(name))}
    seen |= {type(part) for part in _parts(_minimal())}
    missing = {model.__qualname__ for model in _models()} - {model.__qualname__ for model in seen}

    assert missing == ROWS


ROWS = {"ParticipantRow", "AttemptRow", "AnswerRow", "ProgressRow", "RevisionRow", "ClientAuditRow"}
"""Read by test_golden_signatures, with the manifest that counts them."""


def _minimal() -> BaseModel:
    applied = golden.load("exam-delivery-minimal")["applied"]
    return delivery.ExamDelivery.model_validate(applied)


def _parts(value: object) -> Iterator[BaseModel]:
    if isinstance(value, BaseModel):
        yield value
        value = [getattr(value, name) for name in type(value).model_fields]
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for part in value:
            yield from _parts(part)


def _models() -> list[type[BaseModel]]:
    modules = [
        importlib.import_module(f"exam_contract.{module.name}")
        for module in pkgutil.iter_modules(exam_contract.__path__)
    ]
    return [
        value
        for module in modules
        for name, value in vars(module).items()
        if isinstance(value, type)
        and issubclass(value, BaseModel)
        and value.__module__ == module.__name__
        and not name.startswith("_")
        and value is not base.Contract
    ]
