"""Times, people, problems and the other small documents say what is wrong with bad input."""

import json
from datetime import UTC, datetime, timedelta, timezone
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from exam_contract import base, problems, progress, results
from exam_contract.actions import Action
from exam_contract.events import EVENT
from exam_contract.people import Accommodation, RosterEntry
from tests.support import golden

TIME: TypeAdapter[datetime] = TypeAdapter(base.UtcTime)


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("2026-01-15T10:30:00Z", "2026-01-15T10:30:00.000000Z"),
        ("2026-01-15T10:30:00.5+02:00", "2026-01-15T08:30:00.500000Z"),
        ("1970-01-01t00:00:00z", "1970-01-01T00:00:00.000000Z"),
        ("2026-01-15T10:30:00.123456789Z", "2026-01-15T10:30:00.123456Z"),
    ],
)
def test_a_time_is_kept_in_utc_with_microseconds(written: str, kept: str) -> None:
    assert json.loads(TIME.dump_json(TIME.validate_python(written))) == kept


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("2026-01-15T10:30:00", "write a time with its zone"),
        ("2026-01-15", "write a time with its zone"),
        ("tomorrow", "write a time with its zone, for example 2026-01-15T10:30:00Z"),
        ("1700000000", "write a time with its zone"),
        (1700000000, "write a time with its zone"),
        ("2026-02-30T10:30:00Z", "day is out of range for month"),
        (datetime(2026, 1, 15), "a time needs its zone"),  # noqa: DTZ001
        ("0001-01-01T00:00:00+14:00", "a time lies between 1970 and 2199"),
        ("9999-12-31T23:59:59-14:00", "a time lies between 1970 and 2199"),
    ],
)
def test_what_is_no_time_is_refused(wrong: object, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        TIME.validate_python(wrong)


ZONES = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
INSTANTS = st.datetimes(datetime(1971, 1, 1), datetime(2198, 1, 1), timezones=ZONES)  # noqa: DTZ001


@given(INSTANTS, INSTANTS)
def test_times_as_text_sort_as_instants(one: datetime, other: datetime) -> None:
    assert (base.rfc3339(one) < base.rfc3339(other)) == (one < other)
    assert datetime.fromisoformat(base.rfc3339(one)) == one.astimezone(UTC)


@pytest.mark.parametrize(
    ("members", "place"),
    [
        ({"identifier": ""}, "identifier"),
        ({"identifier": " MX1"}, "identifier"),
        ({"identifier": "x" * 65}, "identifier"),
        ({"identifier": "M\x00X"}, "control character U\\+0000"),
        ({"name": "   "}, "name"),
        ({"name": "x" * 201}, "name"),
        ({"email": "nobody"}, "email"),
        ({"email": "a@b"}, "email"),
        ({"email": "a b@example.org"}, "email"),
        ({"email": "a@@example.org"}, "email"),
        ({"accommodation": {"time_multiplier": "1/2"}}, "time_multiplier must be at least 1"),
        ({"accommodation": {"time_multiplier": "11"}}, "at most 10"),
        ({"accommodation": {"time_multiplier": "1.25"}}, "accommodation.time_multiplier"),
        ({"accommodation": {"extra_seconds": -1}}, "accommodation.extra_seconds"),
    ],
)
def test_a_flawed_roster_entry_is_refused(members: dict[str, Any], place: str) -> None:
    with pytest.raises(ValidationError, match=place):
        RosterEntry.model_validate(golden.load("roster-entry") | members)


@pytest.mark.parametrize("multiplier", ["1", "4/3", "10"])
def test_an_accommodation_stretches(multiplier: str) -> None:
    kept = Accommodation(time_multiplier=multiplier)

    assert Fraction(kept.time_multiplier) >= 1


@pytest.mark.parametrize(
    ("name", "members", "place"),
    [
        ("action-grant-time", {"seconds": 0}, "seconds"),
        ("action-grant-time", {"seconds": 86_401}, "seconds"),
        ("action-grant-time", {"action_id": "1"}, "action_id"),
        ("action-pause", {"reason": ""}, "reason"),
        ("action-pause", {"reason": "a\x07"}, "control character U\\+0007"),
        ("action-announce", {"text": "x" * 2001}, "text"),
        ("action-pause", {"kind": "dance"}, "Input tag 'dance'"),
    ],
)
def test_a_flawed_action_is_refused(name: str, members: dict[str, Any], place: str) -> None:
    with pytest.raises(ValidationError, match=place):
        TypeAdapter(Action).validate_python(golden.load(name) | members)


@pytest.mark.parametrize(
    ("members", "place"),
    [
        ({"seq": 0}, "seq"),
        ({"epoch": 0}, "epoch"),
        ({"event_id": "x" * 32}, "event_id"),
        ({"digest": "sha256:0"}, "digest"),
        ({"event_type": "participant_danced"}, "Input tag 'participant_danced'"),
        ({"timestamp": "now"}, "timestamp"),
    ],
)
def test_a_flawed_event_is_refused(members: dict[str, Any], place: str) -> None:
    with pytest.raises(ValidationError, match=place):
        EVENT.validate_python(golden.load("event-answer-submitted") | members)


def test_every_code_has_one_status_and_one_title() -> None:
    assert set(problems.STATUS) == set(problems.ProblemCode)
    assert all(400 <= status <= 599 and title for status, title in problems.STATUS.values())
    assert len({title for _, title in problems.STATUS.values()}) == len(problems.STATUS)


def test_a_problem_carries_further_members_beside_the_standard_ones() -> None:
    body = problems.problem(problems.ProblemCode.SEQ_GAP, "send from seq 4", expected_seq=4)

    assert body.model_dump(mode="json", exclude_none=True) == {
        "type": "urn:medxamion:problem:seq_gap",
        "title": "An earlier event is missing",
        "status": 409,
        "code": "seq_gap",
        "detail": "send from seq 4",
        "expected_seq": 4,
    }


def test_every_attempt_state_has_a_word_of_the_original() -> None:
    assert set(progress.STATUS_WORDS) == set(progress.AttemptState)
    assert not progress.OPEN_STATES & progress.CLOSED_STATES
    assert {progress.STATUS_WORDS[state] for state in progress.CLOSED_STATES} == {"completed"}


def test_exported_tables_are_those_of_the_row_models() -> None:
    assert tuple(results.ROW_MODELS) == results.TABLES
