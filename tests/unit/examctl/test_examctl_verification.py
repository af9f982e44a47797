"""The checker notices every kind of damage, and nothing else."""

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exam_contract import canonical, merkle
from examctl.verification import hashing
from examctl.verification.checks import Verdict, verify
from examctl.verification.database import Stored
from examctl.verification.history import LedgerUnreadableError, read_history
from tests.support.transferred import (
    AT,
    COORDINATOR_KEY,
    Transferred,
    coordinator_audit,
    ledger_bytes,
    make_transferred,
    public,
    sign,
)

Edit = Callable[[dict[str, list[dict[str, Any]]]], object]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)  # fmt: skip


def damaged(made: Transferred, edit: Edit, *, signed_anew: bool = False) -> Stored:
    """The stored rows after an edit; ``signed_anew`` when the exam-client itself had gone wrong."""
    tables = copy.deepcopy(made.stored.tables)
    edit(tables)
    stored = replace(made.stored, tables=tables)
    return sign(stored) if signed_anew else stored


def broken(verdict: Verdict) -> set[str]:
    return {check.name for check in verdict.checks if not check.holds}


def test_a_sound_delivery_holds() -> None:
    made = make_transferred()
    verdict = verify(made.history, made.stored)
    assert broken(verdict) == set()
    assert verdict.holds
    assert (verdict.figures.acknowledged, verdict.figures.stored) == (15, 15)
    assert (verdict.figures.revisions, verdict.figures.answers) == (15, 12)


SIGNED = {"manifest_matches_rows", "receipt_matches_rows"}


def drop_last_revision(tables: dict[str, list[dict[str, Any]]]) -> None:
    tables["answer_revisions"].pop()


def repeat_last_revision(tables: dict[str, list[dict[str, Any]]]) -> None:
    rows = tables["answer_revisions"]
    rows.append({**rows[-1], "id": rows[-1]["id"] + 1})


def set_in(table: str, index: int, column: str, value: object) -> Edit:
    def edit(tables: dict[str, list[dict[str, Any]]]) -> None:
        tables[table][index][column] = value

    return edit


@pytest.mark.parametrize(
    ("edit", "expected"),
    [
        (drop_last_revision, {"acknowledged_are_stored", "last_acknowledged_in_force"}),
        (repeat_last_revision, {"stored_exactly_once", "revisions_monotonic"}),
        (
            set_in("answer_revisions", 4, "answer", '"C"'),
            {"stored_as_acknowledged", "last_acknowledged_in_force"},
        ),
        (set_in("answer_revisions", 4, "submitted_at", AT[:-2] + "1Z"), {"stored_as_acknowledged"}),
        (set_in("answers", 3, "answer", '"C"'), {"last_acknowledged_in_force"}),
        (set_in("answers", 0, "points", "0"), set()),
        (set_in("participants", 0, "name", "Zoe"), set()),
        (lambda tables: tables["answers"].pop(), {"last_acknowledged_in_force"}),
        (
            lambda tables: tables["answers"].append({**tables["answers"][0], "id": 99}),
            {"stored_exactly_once"},
        ),
        (lambda tables: tables["client_audit"].pop(), {"client_audit_chain"}),
        (set_in("client_audit", 1, "actor", "nobody"), {"client_audit_chain"}),
    ],
)
def test_damage_in_the_database_is_found(edit: Edit, expected: set[str]) -> None:
    made = make_transferred()
    verdict = verify(made.history, damaged(made, edit))
    assert broken(verdict) == expected | SIGNED


def test_a_loss_that_was_signed_is_still_a_loss() -> None:
    made = make_transferred()
    verdict = verify(made.history, damaged(made, drop_last_revision, signed_anew=True))
    assert verdict.figures.lost == 1
    assert "acknowledged_are_stored" in broken(verdict)
    assert not broken(verdict) & SIGNED


def test_a_duplicate_that_was_signed_is_still_a_duplicate() -> None:
    made = make_transferred()
    verdict = verify(made.history, damaged(made, repeat_last_revision, signed_anew=True))
    assert verdict.figures.duplicated > 0


def test_an_answer_nobody_gave_is_found() -> None:
    made = make_transferred()
    invented = set_in("answer_revisions", -1, "command_id", "f" * 32)
    verdict = verify(made.history, damaged(made, invented, signed_anew=True))
    assert broken(verdict) == {"acknowledged_are_stored", "nothing_uninvoked"}


def test_an_unknown_outcome_may_be_stored_or_not() -> None:
    made = make_transferred()
    last = next(line for line in reversed(made.lines) if line["kind"] == "ok")
    unknown = {name: last[name] for name in ("at", "participant", "question", "command")}
    lines = [line for line in made.lines if line is not last]
    lines.append({"kind": "indeterminate", **unknown, "why": "no reply"})
    history = read_history(ledger_bytes(lines))
    assert verify(history, made.stored).holds
    without = damaged(made, drop_last_revision, signed_anew=True)
    assert broken(verify(history, without)) == {"last_acknowledged_in_force"}


def test_a_refused_answer_must_not_count() -> None:
    made = make_transferred()
    last = next(line for line in reversed(made.lines) if line["kind"] == "ok")
    names = {name: last[name] for name in ("at", "participant", "question", "command")}
    lines = [line for line in made.lines if line is not last]
    lines.append({"kind": "fail", **names, "status": 409, "code": "deadline_passed"})
    history = read_history(ledger_bytes(lines))
    assert broken(verify(history, made.stored)) == {"nothing_uninvoked"}


def test_answers_that_came_too_late_are_kept_and_break_nothing() -> None:
    made = make_transferred()
    invoked = next(line for line in made.lines if line["kind"] == "invoke")
    lines, commands = list(made.lines), ("late-one", "late-two")
    for command in commands:
        names = {name: invoked[name] for name in ("at", "participant", "question")}
        refused = {"kind": "fail", "status": 409, "code": "deadline_passed"}
        lines += [{**invoked, "command": command}, {**refused, **names, "command": command}]

    def keep(tables: dict[str, list[dict[str, Any]]]) -> None:
        rows = tables["answer_revisions"]
        for command in commands:
            kept = {"id": len(rows) + 1, "command_id": command, "seq": 0, "counted": False}
            rows.append({**rows[0], **kept})

    stored = damaged(made, keep, signed_anew=True)
    assert broken(verify(read_history(ledger_bytes(lines)), stored)) == set()


def test_an_error_of_the_server_says_nothing_of_the_outcome() -> None:
    made = make_transferred()
    last = next(line for line in reversed(made.lines) if line["kind"] == "ok")
    names = {name: last[name] for name in ("at", "participant", "question", "command")}
    lines = [line for line in made.lines if line is not last]
    lines.append({"kind": "fail", **names, "status": 503, "code": "storage_lost"})
    assert verify(read_history(ledger_bytes(lines)), made.stored).holds


def test_two_different_acknowledgements_of_one_command_contradict() -> None:
    made = make_transferred()
    last = next(line for line in reversed(made.lines) if line["kind"] == "ok")
    history = read_history(ledger_bytes([*made.lines[:-1], {**last, "revision": 9}]))
    assert "acknowledgements_consistent" in broken(verify(history, made.stored))


def test_a_forged_manifest_is_found() -> None:
    made = make_transferred()
    assert made.stored.transfer is not None
    forged = replace(made.stored.transfer, manifest_signature="A" * 86)
    verdict = verify(made.history, replace(made.stored, transfer=forged))
    assert broken(verdict) == {"manifest_signature"}


def test_a_receipt_signed_by_somebody_else_is_found() -> None:
    made = make_transferred()
    other = {"coordinator-1": made.stored.client_keys[(2, 3)][1]}
    verdict = verify(made.history, replace(made.stored, signing_keys=other))
    assert broken(verdict) == {"receipt_signature"}


def test_a_manifest_signature_never_serves_as_a_receipt() -> None:
    made = make_transferred()
    transfer = made.stored.transfer
    assert transfer is not None
    swapped = replace(
        transfer,
        manifest_payload=transfer.receipt_payload or "",
        manifest_signature=transfer.receipt_signature or "",
    )
    keys = {(0, 0): ("client-1", public(COORDINATOR_KEY))}
    stored = replace(made.stored, transfer=swapped, client_keys=keys)
    assert "manifest_signature" in broken(verify(made.history, stored))


@pytest.mark.parametrize("missing", ["transfer", "receipt"])
def test_what_was_never_transferred_does_not_hold(missing: str) -> None:
    made = make_transferred()
    assert made.stored.transfer is not None
    transfer = (
        None if missing == "transfer" else replace(made.stored.transfer, receipt_payload=None)
    )
    found = broken(verify(made.history, replace(made.stored, transfer=transfer)))
    assert {"receipt_signature", "receipt_matches_rows"} <= found
    assert ("manifest_signature" in found) == (missing == "transfer")


@pytest.mark.parametrize(
    "edit",
    [
        lambda rows: rows[1].update(actor="staff:2"),
        lambda rows: rows[1].update(detail='{"a":1}'),
        lambda rows: rows.pop(1),
        lambda rows: rows.pop(0),
        lambda rows: rows[2].update(prev=rows[0]["hash"]),
    ],
)
def test_an_edited_audit_log_is_found(edit: Callable[[list[dict[str, Any]]], object]) -> None:
    made = make_transferred()
    rows = coordinator_audit(4)
    edit(rows)
    verdict = verify(made.history, replace(made.stored, audit_log=rows))
    assert broken(verdict) == {"coordinator_audit_chain"}


def test_wrong_scores_are_found() -> None:
    made = make_transferred()
    verdict = verify(made.history, replace(made.stored, score_mismatches=2))
    assert broken(verdict) == {"scores_recomputed"}


def test_a_ledger_cut_by_a_crash_is_read_to_its_last_whole_line() -> None:
    made = make_transferred()
    lines = ledger_bytes(made.lines)
    assert len(read_history([*lines, b'{"kind": "inv']).commands) == 15


@pytest.mark.parametrize(
    "lines",
    [
        [],
        [b"oops\n"],
        [b'{"kind": "begin", "delivery_id": 1, "format": 2}\n'],
        [b'{"kind": "riddle"}\n'],
        [b'{"kind": "ok", "participant": 1, "command": "a"}\n'],
    ],
)
def test_what_is_no_ledger_is_refused(lines: list[bytes]) -> None:
    with pytest.raises(LedgerUnreadableError):
        read_history(lines)


def test_an_altered_ledger_is_refused() -> None:
    made = make_transferred()
    altered = [{**line, "answer": "Z"} if line["kind"] == "invoke" else line for line in made.lines]
    with pytest.raises(LedgerUnreadableError, match="digest"):
        read_history(ledger_bytes(altered))


@given(JSON)
def test_both_canonical_forms_are_the_same(value: object) -> None:
    assert hashing.canonical(value) == canonical.canonical_bytes(value)


@given(st.lists(st.fixed_dictionaries({"id": st.integers(0, 99)}), max_size=40))
def test_both_merkle_roots_are_the_same(rows: list[dict[str, Any]]) -> None:
    assert hashing.merkle_root(rows) == merkle.merkle_root(rows)
