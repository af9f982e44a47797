"""When an exam-client counts as failed, and when even then nothing is restarted."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.core.failures import (
    RESTARTABLE,
    Facts,
    Judgement,
    Policy,
    Sight,
    has_failed,
    judge,
    next_claim_before,
    withheld,
)
from exam_contract.delivery import Phase

NOW = datetime(2030, 1, 1, 12, tzinfo=UTC)
LONG_AGO = NOW - timedelta(hours=1)
POLICY = Policy(after_seconds=20, cooldown_seconds=300)


def ago(seconds: float) -> datetime:
    return NOW - timedelta(seconds=seconds)


FAILED = Sight(1, "Running", heard_at=ago(25), failing_since=ago(15), failures=3)
WELL = Sight(0, "Running", heard_at=ago(1), failing_since=None, failures=0)


def seen(sight: Sight, watching_since: datetime = LONG_AGO) -> bool:
    return has_failed(sight, watching_since, NOW, POLICY)


def test_silence_and_unanswered_calls_for_long_enough_are_a_failure() -> None:
    assert seen(FAILED)


@pytest.mark.parametrize(
    "changes",
    [
        {"heard_at": ago(19)},
        {"failing_since": ago(9)},
        {"failing_since": None},
        {"failures": 2},
    ],
)
def test_one_sign_alone_or_too_short_is_none(changes: dict[str, object]) -> None:
    assert not seen(replace(FAILED, **changes))  # type: ignore[arg-type]


def test_what_was_never_heard_counts_from_when_we_began_to_watch() -> None:
    never = replace(FAILED, heard_at=None)
    assert seen(never, watching_since=ago(21))
    assert not seen(never, watching_since=ago(19))


def test_after_an_absence_of_our_own_everything_is_watched_anew() -> None:
    assert not seen(FAILED, watching_since=ago(10))
    assert not seen(replace(FAILED, failing_since=LONG_AGO), watching_since=ago(10))


@pytest.mark.parametrize("phase", Phase)
def test_only_phases_with_an_exam_client_to_bring_back_count(phase: Phase) -> None:
    judged = judge([replace(FAILED, phase=phase.value)], {}, LONG_AGO, NOW, POLICY)
    expected = phase in (Phase.PREPARED, Phase.RUNNING, Phase.FINALISING, Phase.TRANSFERRING)
    assert (judged.failed == (1,)) is expected


def fleet(failing: int, well: int) -> list[Sight]:
    return [replace(FAILED, delivery_id=n) for n in range(1, failing + 1)] + [
        replace(WELL, delivery_id=100 + n) for n in range(well)
    ]


@pytest.mark.parametrize(
    ("failing", "well", "ours"),
    [
        (1, 0, False),
        (1, 1, False),
        (2, 0, True),
        (2, 3, True),
        (2, 8, False),
        (4, 8, True),
        (3, 7, False),
    ],
)
def test_many_that_fail_at_once_are_not_restarted(failing: int, well: int, ours: bool) -> None:
    judged = judge(fleet(failing, well), {}, LONG_AGO, NOW, POLICY)
    if ours:
        assert judged == Judgement((), together=failing)
    else:
        assert judged == Judgement(tuple(range(1, failing + 1)))


def test_those_that_only_begin_to_fail_count_among_the_many() -> None:
    beginning = replace(FAILED, delivery_id=2, heard_at=ago(11), failing_since=ago(2), failures=1)
    assert judge([FAILED, beginning], {}, LONG_AGO, NOW, POLICY).together == 2


def test_a_failure_that_was_asked_for_is_not_asked_for_again() -> None:
    assert judge([FAILED], {1: ago(5)}, LONG_AGO, NOW, POLICY) == Judgement(())
    assert judge([replace(FAILED, heard_at=None)], {1: ago(5)}, LONG_AGO, NOW, POLICY).failed == ()


def test_a_failure_after_it_was_heard_again_is_another_one() -> None:
    assert judge([FAILED], {1: ago(400)}, LONG_AGO, NOW, POLICY).failed == (1,)


def test_one_that_was_asked_for_does_not_count_among_the_many() -> None:
    asked = {1: ago(5), 2: ago(5), 3: ago(5)}
    assert judge(fleet(4, 1), asked, LONG_AGO, NOW, POLICY).failed == (4,)


FACTS = Facts(
    phase="Running",
    erased=False,
    operator_heard_at=ago(3),
    operator_says_healthy=False,
    last_event_at=ago(60),
)


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"phase": "Recovering"}, "Recovering"),
        ({"phase": "CleanedUp"}, "CleanedUp"),
        ({"phase": "Validated"}, "Validated"),
        ({"erased": True}, "erased"),
        ({"last_event_at": ago(5)}, "another replica"),
        ({"operator_says_healthy": True}, "the operator reaches it"),
        ({"operator_heard_at": ago(90)}, "the operator is away"),
        ({"operator_heard_at": ago(90), "operator_says_healthy": True}, "the operator is away"),
    ],
)
def test_what_speaks_against_a_restart_is_named(changes: dict[str, object], word: str) -> None:
    why = withheld(replace(FACTS, **changes), NOW, POLICY)  # type: ignore[arg-type]
    assert why is not None
    assert word in why


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"last_event_at": None},
        {"operator_says_healthy": True, "operator_heard_at": ago(30)},  # an old word
        {"phase": "Transferring"},
    ],
)
def test_nothing_speaks_against_it(changes: dict[str, object]) -> None:
    assert withheld(replace(FACTS, **changes), NOW, POLICY) is None  # type: ignore[arg-type]


def test_the_pause_between_two_requests() -> None:
    assert next_claim_before(NOW, POLICY) == ago(300)


moments = st.none() | st.integers(0, 600).map(ago)
sights = st.lists(
    st.builds(
        Sight,
        delivery_id=st.integers(1, 40),
        phase=st.sampled_from([phase.value for phase in Phase]),
        heard_at=moments,
        failing_since=moments,
        failures=st.integers(0, 6),
    ),
    max_size=20,
    unique_by=lambda sight: sight.delivery_id,
)
requests = st.dictionaries(st.integers(1, 40), st.integers(0, 600).map(ago), max_size=10)


@given(sights=sights, requested=requests, watching=st.integers(0, 900).map(ago))
def test_whoever_is_restarted_gave_every_reason(
    sights: list[Sight], requested: dict[int, datetime], watching: datetime
) -> None:
    judged = judge(sights, requested, watching, NOW, POLICY)
    restartable = [sight for sight in sights if sight.phase in RESTARTABLE]
    assert len(judged.failed) <= max(1, len(restartable) * 3 // 10)
    for delivery_id in judged.failed:
        [sight] = [sight for sight in sights if sight.delivery_id == delivery_id]
        assert sight.phase in RESTARTABLE
        assert sight.failures >= 3
        assert watching <= ago(POLICY.after_seconds)
        assert sight.heard_at is None or sight.heard_at <= ago(POLICY.after_seconds)
        asked = requested.get(delivery_id)
        assert asked is None or (sight.heard_at is not None and sight.heard_at > asked)


@given(sights=sights, requested=requests, watching=st.integers(0, 900).map(ago))
def test_one_that_answers_is_never_restarted_whatever_the_others_do(
    sights: list[Sight], requested: dict[int, datetime], watching: datetime
) -> None:
    answering = replace(FAILED, delivery_id=99, failing_since=None, failures=0)
    assert 99 not in judge([*sights, answering], requested, watching, NOW, POLICY).failed
    speaking = replace(FAILED, delivery_id=99, heard_at=NOW)
    assert 99 not in judge([*sights, speaking], requested, watching, NOW, POLICY).failed


@given(sights=sights)
def test_nothing_is_restarted_by_a_process_that_just_began(sights: list[Sight]) -> None:
    assert judge(sights, {}, ago(19), NOW, POLICY).failed == ()
