"""Small rules of the coordinator's core, each by its behaviour."""

import json
from datetime import UTC, datetime, timedelta
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import OKPKey

from coordinator.core import audit, canonical, codes, progress, results, rosters, signing
from coordinator.core.permissions import (
    ROLE_PERMISSIONS,
    ROUTES,
    Access,
    Grant,
    Permission,
    Role,
    Scope,
    allowed,
    exams_with,
)
from coordinator.core.throttle import Throttle
from coordinator.core.vault import SecretMismatch, Vault
from coordinator.services.state_cache import StateCache
from exam_contract import merkle
from exam_contract.canonical import canonical_bytes
from exam_contract.events import EVENT, event_digest
from exam_contract.keys import ExamDocument, bind_key
from exam_contract.progress import AttemptState
from exam_contract.trust import BUNDLE_CONTEXT, MANIFEST_CONTEXT
from tests.support import exams

NOW = datetime(2026, 1, 15, 10, 30, tzinfo=UTC)
VALUES = (
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.text(st.characters(exclude_categories=["Cs"]))
)
ROWS = st.dictionaries(st.from_regex(r"[a-z_]{1,12}", fullmatch=True), VALUES, max_size=8)


@given(ROWS)
def test_fast_canonical_bytes_equal_the_contracts(row: dict[str, object]) -> None:
    assert canonical.canonical(row) == canonical_bytes(row)
    assert canonical.event_digest(row) == event_digest(row)


@given(st.lists(ROWS, max_size=9))
def test_fast_merkle_roots_equal_the_contracts(rows: list[dict[str, object]]) -> None:
    assert canonical.merkle_root(rows) == merkle.merkle_root(rows)


@given(st.binary(min_size=8, max_size=8))
def test_codes_survive_how_people_type_them(drawn: bytes) -> None:
    code = codes.code(drawn)
    assert len(code) == 14
    typed = code.lower().replace("-", " ").replace("0", "o").replace("1", "l")
    assert codes.normal_code(typed) == code
    assert codes.normal_code(code) == code


def test_codes_use_all_of_their_sixty_bits() -> None:
    assert len({codes.code((1 << bit).to_bytes(8, "big")) for bit in range(60)}) == 60


def test_a_throttle_lets_a_key_wait_and_forgets_after_the_window() -> None:
    throttle = Throttle(limit=3, window_seconds=60)
    for at in (0.0, 10.0, 20.0):
        assert throttle.wait_seconds("a", at) == 0
        throttle.failed("a", at)
    assert throttle.wait_seconds("a", 30.0) == 30
    assert throttle.wait_seconds("b", 30.0) == 0
    assert throttle.wait_seconds("a", 61.0) == 0
    throttle.succeeded("a")
    assert throttle.wait_seconds("a", 21.0) == 0


def test_a_throttle_holds_a_bounded_number_of_keys() -> None:
    throttle = Throttle(limit=1, window_seconds=60, most_keys=10)
    for number in range(50):
        throttle.failed(str(number), 0.0)
    assert throttle.wait_seconds("0", 1.0) == 0
    assert throttle.wait_seconds("49", 1.0) > 0


def test_roster_errors_name_row_field_and_mend() -> None:
    good = {"identifier": "a1", "name": "A", "email": "a@example.org"}
    rows = [
        good,
        {**good, "identifier": "A1"},
        {**good, "identifier": "a2", "email": "nowhere"},
        {"identifier": "a3", "email": "a@example.org"},
        {**good, "identifier": "a4", "phone": "1"},
        "not a row",
    ]
    _, errors = rosters.check(rows)
    assert [(error.row, error.field) for error in errors] == [
        (2, "identifier"),
        (3, "email"),
        (4, "name"),
        (5, "phone"),
        (6, "row"),
    ]
    assert "row 1" in errors[0].message
    assert "name@example.org" in errors[1].message


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("Cohort 2026", "cohort-2026"),
        ("Été/Zürich", "ete-zurich"),
        ("→", "roster"),
        ("--", "roster"),
    ],
)
def test_a_rosters_name_asks_for_a_readable_id(name: str, slug: str) -> None:
    assert rosters.slug(name) == slug


def chain(count: int) -> list[audit.Entry]:
    entries: list[audit.Entry] = []
    last = (0, "")
    for number in range(count):
        entry = audit.next_entry(last, "2026", "staff:1", "did", f"thing:{number}", {"n": number})
        entries.append(entry)
        last = (entry.id, entry.hash)
    return entries


def test_an_untouched_chain_verifies_also_in_parts() -> None:
    entries = chain(6)
    assert audit.verify(entries) == audit.Verdict(6, entries[-1].hash)
    first = audit.verify(entries[:3])
    assert audit.verify(entries[3:], after=(first.entries, first.head)).broken_at is None


@pytest.mark.parametrize("member", ["at", "actor", "action", "target", "detail", "prev", "hash"])
def test_a_chain_breaks_at_the_entry_that_was_changed(member: str) -> None:
    entries = chain(5)
    changed = {name: getattr(entries[2], name) for name in audit.Entry.__slots__}
    entries[2] = audit.Entry(**{**changed, member: "changed"})
    assert audit.verify(entries).broken_at in (3, 4)


def test_a_removed_or_swapped_entry_breaks_a_chain() -> None:
    entries = chain(5)
    assert audit.verify(entries[:1] + entries[2:]).broken_at == 2
    assert audit.verify([entries[1], entries[0]]).broken_at == 1


def test_a_vault_opens_only_the_row_and_purpose_it_sealed() -> None:
    vault = Vault(b"k" * 32)
    sealed = vault.seal("answer-key", "exam/1", b"secret", b"n" * 12)
    assert b"secret" not in sealed
    assert vault.open("answer-key", "exam/1", sealed) == b"secret"
    with pytest.raises(SecretMismatch):
        vault.open("answer-key", "exam/2", sealed)
    with pytest.raises(SecretMismatch):
        vault.open("bundle", "exam/1", sealed)
    with pytest.raises(SecretMismatch):
        Vault(b"j" * 32).open("answer-key", "exam/1", sealed)
    assert "kkkk" not in repr(vault)


def test_a_signature_fits_one_key_one_payload_and_one_context() -> None:
    key, other = signing.signing_key(b"1" * 32), signing.signing_key(b"2" * 32)
    signed = signing.sign(key, BUNDLE_CONTEXT, {"b": 1, "a": "ü"})
    assert signed.payload == '{"a":"ü","b":1}'
    assert signing.verifies(key.x, BUNDLE_CONTEXT, signed)
    assert not signing.verifies(other.x, BUNDLE_CONTEXT, signed)
    assert not signing.verifies(key.x, MANIFEST_CONTEXT, signed)
    altered = signed.model_copy(update={"payload": signed.payload + " "})
    assert not signing.verifies(key.x, BUNDLE_CONTEXT, altered)
    assert not signing.verifies("not base64!", BUNDLE_CONTEXT, signed)


def test_a_participant_token_says_exactly_what_the_protocol_says() -> None:
    key = signing.signing_key(b"1" * 32)
    token = signing.participant_token(key, "issuer", "uid", 42, NOW, "jti-1")
    public = OKPKey.import_key({"kty": "OKP", "crv": "Ed25519", "x": key.x})
    decoded = jwt.decode(token, public, algorithms=["EdDSA"])
    assert decoded.header == {
        "typ": "medxamion-participant+jwt",
        "alg": "EdDSA",
        "kid": key.kid,
    }
    claims = decoded.claims
    assert (claims["iss"], claims["aud"], claims["sub"]) == ("issuer", "uid", "42")
    assert claims["exp"] - claims["nbf"] <= 600
    assert claims["nbf"] <= NOW.timestamp() <= claims["exp"]


def test_service_tokens_live_a_minute_at_most() -> None:
    key = signing.signing_key(b"1" * 32)
    token = signing.service_token(key, "issuer", "uid", "staff:1", NOW, "jti-1")
    public = OKPKey.import_key({"kty": "OKP", "crv": "Ed25519", "x": key.x})
    claims = jwt.decode(token, public, algorithms=["EdDSA"]).claims
    assert claims["exp"] - claims["nbf"] <= 60


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("permission", Permission)
def test_a_role_opens_its_own_exam_and_no_other(role: Role, permission: Permission) -> None:
    grants = [Grant(role, "mine")]
    held = permission in ROLE_PERMISSIONS[role]
    access = Access(Scope.DELIVERY, permission)
    assert allowed(access, grants, "mine") is held
    assert allowed(access, grants, "foreign") is False
    assert allowed(access, grants, None) is False
    assert allowed(Access(Scope.ALL_EXAMS, permission), grants, None) is False
    assert allowed(Access(Scope.ALL_EXAMS, permission), [Grant(role, None)], None) is held
    assert exams_with(grants, permission) == (frozenset({"mine"}) if held else frozenset())


def test_nobody_is_allowed_anything_without_a_grant() -> None:
    for access in ROUTES.values():
        if access.permission is not None:
            assert not allowed(access, [], "any")


def event_of(kind: str, **members: object) -> object:
    body = {
        "event_id": "0" * 32,
        "delivery_id": 1,
        "epoch": 1,
        "incarnation": 1,
        "seq": 1,
        "timestamp": "2026-01-15T10:30:00.000000Z",
        "digest": "sha256:" + "0" * 64,
        "event_type": kind,
        "participant_id": 5,
        **members,
    }
    return EVENT.validate_python(body)


FIGURES = {
    "questions_answered": 4,
    "total_questions": 10,
    "current_score": 75,
    "score_numerator": "3",
    "score_denominator": "4",
}


def test_states_follow_a_participants_events() -> None:
    state = progress.registered(5)
    state = progress.fold(state, event_of("participant_checked_in"))  # type: ignore[arg-type]
    assert (state.state, state.status) == (AttemptState.CHECKED_IN, "not_started")
    deadline = "2026-01-15T11:30:00Z"
    started = event_of(
        "participant_started",
        attempt_id=5,
        deadline=deadline,
        deadline_version=1,
        total_questions=10,
    )
    state = progress.fold(state, started)  # type: ignore[arg-type]
    assert (state.state, state.progress.total_questions) == (AttemptState.IN_PROGRESS, 10)
    answered = event_of(
        "answer_submitted", attempt_id=5, question_id=1, revision=1, progress=FIGURES
    )
    state = progress.fold(state, answered)  # type: ignore[arg-type]
    assert (state.progress.current_score, state.last_save) == (75, NOW)
    completed = event_of(
        "participant_completed",
        attempt_id=5,
        state="submitted",
        final_score=30,
        score_numerator="3",
        score_denominator="10",
        progress=FIGURES,
    )
    state = progress.fold(state, completed)  # type: ignore[arg-type]
    assert (state.status, state.final_score, state.ended_at) == ("completed", 30, NOW)
    reopened = event_of(
        "attempt_changed",
        attempt_id=5,
        state="in_progress",
        deadline="2026-01-15T12:00:00Z",
        deadline_version=2,
        reason="reopened",
    )
    state = progress.fold(state, reopened)  # type: ignore[arg-type]
    assert (state.status, state.final_score, state.deadline_version) == ("in_progress", None, 2)
    figures = progress.stats([state, progress.registered(6)])
    assert (figures.enrolled, figures.in_progress, figures.average_score) == (2, 1, 75)


def test_final_scores_are_exact() -> None:
    points = [("1/3", False), ("1/3", False), ("1/3", False), ("0", True)]
    final = results.final_score(points, "2")
    assert (final.percent, final.numerator, final.pending) == (50, "1", 1)
    assert Fraction(final.numerator) == 1


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        ("=1+1", "'=1+1"),
        ("+49", "'+49"),
        ("-1", "'-1"),
        ("@x", "'@x"),
        ("\tx", "'\tx"),
        ("\rx", "'\rx"),
        ("plain", "plain"),
        (None, ""),
        (-5, "-5"),
        ({"A": True}, '{"A":true}'),
    ],
)
def test_no_cell_is_a_formula(value: object, cell: str) -> None:
    assert results.csv_cell(value) == cell


def test_a_state_cache_is_valid_only_where_it_left_off() -> None:
    cache = StateCache(most_states=3)
    one, two = progress.registered(1), progress.registered(2)
    cache.keep(7, before=0, stream=2, states={1: one})
    assert cache.get(7, 2) == {1: one}
    assert cache.get(7, 3) == {}
    cache.keep(7, before=2, stream=3, states={2: two})
    assert cache.get(7, 3) == {1: one, 2: two}
    cache.keep(7, before=9, stream=10, states={2: two})
    assert cache.get(7, 10) == {2: two}
    cache.keep(8, before=0, stream=1, states={n: progress.registered(n) for n in range(3)})
    assert cache.get(7, 10) == {}


def test_score_checks_tell_right_from_wrong() -> None:

    document = ExamDocument.model_validate(exams.document(exams.single_best(1)))
    key = bind_key(document)
    row = {"id": 9, "question_id": 1, "scoring": "auto", "max_points": "1"}
    for answer, points, verdict in (
        ("A", "1", "ok"),
        ("A", "0", "mismatch"),
        ("B", "0", "ok"),
        ("Z", "0", "mismatch"),
        (None, "0", "ok"),
    ):
        checked = {**row, "answer": json.dumps(answer), "points": points}
        assert results.check_scores(document.exam, key, [checked]) == {9: verdict}
    foreign = {**row, "question_id": 99, "answer": "null", "points": "0"}
    assert results.check_scores(document.exam, key, [foreign]) == {9: "mismatch"}


def test_times_in_tokens_do_not_depend_on_the_zone() -> None:
    key = signing.signing_key(b"1" * 32)
    zoned = NOW.astimezone(tz=None) + timedelta(0)
    assert signing.participant_token(key, "i", "u", 1, NOW, "j") == signing.participant_token(
        key, "i", "u", 1, zoned, "j"
    )
