"""``POST /backup``: what was acknowledged before it is in it, whatever goes on meanwhile."""

import io
import json
import socket
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from exam_client.core import audit
from exam_client.store import database, keyring
from exam_contract import backup
from exam_contract.backup import BackupNote
from exam_contract.canonical import digest_bytes
from exam_contract.control import Mode
from examctl.backups import archive
from tests.support import client_process, loopback
from tests.support.certificates import Issuer
from tests.support.client_process import ClientProcess, Rig, Sitter
from tests.support.ledger import Ledger, Load
from tests.support.waiting import until

MakeRig = Callable[..., Rig]


def _ask(client: ClientProcess) -> httpx.Response:
    return loopback.post(
        f"{client.control_url}/backup",
        headers=client.control_headers,
        verify=client.verify,
    )


def _members(reply: httpx.Response) -> dict[str, bytes]:
    """By name, in the order they came; the note is proven to be that of the database."""
    assert reply.status_code == 200, reply.text
    assert reply.headers["content-type"] == backup.CONTENT_TYPE
    found: dict[str, bytes] = {}
    with tarfile.open(fileobj=io.BytesIO(reply.content)) as stream:
        for member in stream:
            file = stream.extractfile(member)
            assert file is not None
            found[member.name] = file.read()
    assert list(found) == [backup.VOLUME_KEY, backup.DATABASE, backup.NOTE]
    note = _note(found)
    assert note.database_sha256 == digest_bytes(found[backup.DATABASE])
    assert note.database_bytes == len(found[backup.DATABASE])
    # As the command line reads it.
    assert archive.read(io.BytesIO(reply.content), lambda piece: None).note == note
    return found


def _note(members: dict[str, bytes]) -> BackupNote:
    return BackupNote.model_validate_json(members[backup.NOTE])


def _rows(rig: Rig, members: dict[str, bytes], query: str) -> list[tuple[Any, ...]]:
    path = rig.client.folder / "looked-at.db"
    path.write_bytes(members[backup.DATABASE])
    secret_half = (rig.client.secret_dir / "storage.key").read_bytes()
    key = keyring.derive(secret_half, members[backup.VOLUME_KEY], rig.client.uid)
    connection = database.unchanging(path, key)
    try:
        rows: list[tuple[Any, ...]] = connection.execute(query).fetchall()
        return rows
    finally:
        connection.close()


def _left(rig: Rig) -> list[str]:
    return [path.name for path in rig.client.volume_dir.glob("*backup*")]


def _running(rig: Rig, participants: int) -> list[Sitter]:
    rig.client.start_ready(bundle=rig.bundle)
    sitters = [rig.sitter(number) for number in range(1, participants + 1)]
    for sitter in sitters:
        sitter.begin()
    return sitters


def _write_essays(sitter: Sitter, megabytes: int) -> None:
    """Revisions of one essay, so that a backup takes a moment."""
    for number in range(megabytes):
        commands = [
            sitter.command(903, f"{number}-{index} " + "essay " * 1600, base_revision=revision)
            for index in range(90)
            if (revision := number * 90 + index) >= 0
        ]
        reply = sitter.post("/exam/answers", {"commands": commands})
        assert reply.status_code == 200, reply.text
        assert reply.json()["outcomes"][-1]["revision"] == (number + 1) * 90


def test_under_load_every_answer_acknowledged_before_the_call_is_in_it(make_rig: MakeRig) -> None:
    """Fault 32, and a restore of what came out."""
    rig = make_rig(participants=8)
    sitters = _running(rig, 8)
    _write_essays(sitters[0], 2)
    load = Load(rig, sitters[1:], list(range(1, 11))).start()
    for _ in range(3):
        reached = load.count + 40
        until(lambda reached=reached: load.count >= reached, what="answers")  # type: ignore[misc]
        before = Ledger(dict(load.ledger.acknowledged))
        members = _members(_ask(rig.client))
        after = load.count
        assert after > len(before.acknowledged), "the exam stood still"
        _compare(rig, members, before)
    ledger = load.stop()
    assert set(ledger.refused) == set()
    assert _left(rig) == []
    rig.client.kill()
    restored = _restored(rig, members)
    status = restored.status()
    assert (status.counts.last_seq, status.incarnation) >= (_note(members).last_seq or 0, 2)
    assert status.counts.revisions >= len(before.acknowledged)
    restored.close()


def _compare(rig: Rig, members: dict[str, bytes], before: Ledger) -> None:
    revisions = _rows(
        rig,
        members,
        "SELECT command_id, attempt_id, question_id, revision FROM answer_revisions",
    )
    names = ("command_id", "attempt_id", "question_id", "revision")
    attempts: dict[Any, Any] = dict(_rows(rig, members, "SELECT id, participant_id FROM attempts"))
    rows = [dict(zip(names, row, strict=True)) for row in revisions]
    lost, doubled = before.compare(rows, attempts)
    assert (lost, doubled) == ([], [])
    seqs = [row[0] for row in _rows(rig, members, "SELECT seq FROM outbox ORDER BY seq")]
    assert seqs == list(range(1, (_note(members).last_seq or 0) + 1))
    entries = _rows(rig, members, "SELECT id,at,actor,action,detail,prev,hash FROM audit")
    assert audit.first_break([audit.Entry(*row) for row in entries]) is None


def _restored(rig: Rig, members: dict[str, bytes]) -> ClientProcess:
    """A volume of the backup alone, and an exam-client that goes on from it."""
    note = _note(members)
    client = ClientProcess(
        rig.client.folder / "restored",
        rig.client.authority,
        rig.coordinator.url,
        uid=rig.client.uid,
        epoch=rig.client.epoch,
    )
    storage = (rig.client.secret_dir / "storage.key").read_bytes()
    (client.secret_dir / "storage.key").write_bytes(storage)
    (client.volume_dir / note.database_name).write_bytes(members[backup.DATABASE])
    (client.volume_dir / backup.VOLUME_KEY).write_bytes(members[backup.VOLUME_KEY])
    client.extra["EXPECTS_DATA"] = "true"
    return client.start()


def test_a_backup_is_in_the_audit_without_a_secret(make_rig: MakeRig) -> None:
    rig = make_rig()
    _running(rig, 1)
    note = _note(_members(_ask(rig.client)))
    rig.client.desire(Mode.TRANSFER, rig.bundle)
    until(lambda: rig.client.status().transfer.receipt, what="the receipt")
    entries = [row for row in rig.coordinator.rows["client_audit"] if row["action"] == "backed_up"]
    assert [(row["actor"], json.loads(str(row["detail"]))) for row in entries] == [
        (
            "operator",
            {
                "sha256": note.database_sha256,
                "bytes": note.database_bytes,
                "last_seq": note.last_seq,
            },
        )
    ]
    assert (rig.client.volume_dir / "volume.key").read_bytes().hex() not in rig.client.log_text()


def test_only_the_holder_of_the_control_key_gets_one(make_rig: MakeRig) -> None:
    rig = make_rig()
    rig.client.start()
    for headers in ({}, {"Authorization": "Bearer wrong"}):
        reply = httpx.post(f"{rig.client.control_url}/backup", headers=headers)
        assert (reply.status_code, reply.json()["code"]) == (401, "unauthenticated")


def test_a_fenced_delivery_can_be_backed_up(make_rig: MakeRig) -> None:
    rig = make_rig()
    sitter = _running(rig, 1)[0]
    assert sitter.answer(1, "A").status_code == 200
    rig.client.desire(Mode.RUN, rig.bundle, fenced=True)
    assert sitter.answer(2, "A").json()["code"] == "fenced"
    members = _members(_ask(rig.client))
    assert _rows(rig, members, "SELECT count(*) FROM answers") == [(1,)]


@pytest.mark.parametrize("lost", ["file", "half of the key"])
def test_what_is_lost_is_not_backed_up(make_rig: MakeRig, lost: str) -> None:
    rig = make_rig()
    rig.client.start_ready(bundle=rig.bundle)
    if lost == "file":
        next(rig.client.volume_dir.glob("*.db")).unlink()
        until(lambda: rig.client.status().storage.state == "lost", what="the alarm")
    else:
        (rig.client.volume_dir / "volume.key").unlink()
    reply = _ask(rig.client)
    assert (reply.status_code, reply.json()["code"]) == (409, "conflict")
    assert _left(rig) == []


def test_what_was_erased_is_not_backed_up(make_rig: MakeRig) -> None:
    rig = make_rig()
    rig.client.start_ready(bundle=rig.bundle)
    rig.client.desire(Mode.TRANSFER, rig.bundle)
    until(lambda: rig.client.status().transfer.receipt, what="the receipt")
    rig.client.desire(Mode.ERASE, rig.bundle)
    until(lambda: rig.client.status().storage.state == "erased", what="the erase")
    reply = _ask(rig.client)
    assert (reply.status_code, reply.json()["code"]) == (409, "delivery_frozen")


def test_without_room_it_is_refused_and_the_exam_goes_on(small_volume: Path) -> None:
    rig = client_process.rig(small_volume.parent)
    rig.client.extra["BALLAST_BYTES"] = str(2**20)
    try:
        sitter = _running(rig, 1)[0]
        (small_volume / "filler").write_bytes(bytes(7 * 2**20))
        reply = _ask(rig.client)
        assert (reply.status_code, reply.json()["code"]) == (507, "storage_full")
        assert "free bytes" in reply.json()["detail"]
        assert _left(rig) == []
        assert sitter.answer(1, "A").status_code == 200
        (small_volume / "filler").unlink()
        _members(_ask(rig.client))
        assert rig.client.status().storage.state == "ok"
    finally:
        rig.close()


def test_one_at_a_time_and_a_caller_that_leaves_makes_room(
    make_rig: MakeRig, issuer: Issuer
) -> None:
    rig = make_rig(issuer=issuer)
    _write_essays(_running(rig, 1)[0], 14)
    with socket.socket() as plain:
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        plain.connect(("127.0.0.1", rig.client.control_port))
        with issuer.trusting().wrap_socket(plain, server_hostname="localhost") as slow:
            slow.sendall(
                b"POST /backup HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer "
                + rig.client.control_key.encode()
                + b"\r\nContent-Length: 0\r\n\r\n"
            )
            assert slow.recv(12) == b"HTTP/1.1 200"
            reply = _ask(rig.client)
            assert (reply.status_code, reply.json()["code"]) == (409, "conflict")
            assert rig.client.is_ready()
    until(lambda: _ask(rig.client).status_code == 200, what="the next backup")


def test_an_end_in_the_middle_of_one_is_clean(make_rig: MakeRig) -> None:
    rig = make_rig()
    _write_essays(_running(rig, 1)[0], 6)
    with socket.create_connection(("127.0.0.1", rig.client.control_port)) as caller:
        key = rig.client.control_key.encode()
        caller.sendall(
            b"POST /backup HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + key + b"\r\n\r\n"
        )
        until(lambda: _left(rig), what="the copy")
        assert rig.client.terminate() == 0
    assert _left(rig) == []
    assert [path.name for path in rig.client.volume_dir.glob("*-wal")] == []
