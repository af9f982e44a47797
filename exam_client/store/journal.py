"""Opening a delivery's volume: lock, file (new or recovered), key, state, signing key."""

import secrets
from dataclasses import dataclass
from pathlib import Path

from exam_client.core import instants, records, trust
from exam_client.core.state import State
from exam_client.errors import FileDamaged, StartRefused, VolumeRefused
from exam_client.store import database, keyring, loading, volume
from exam_client.store.database import Connection
from exam_client.store.keyring import DatabaseKey, SigningKey

SCHEMA_VERSION = "1"


@dataclass(frozen=True, slots=True)
class Place:
    """Where the delivery lives and who opens it."""

    folder: Path
    delivery_id: int
    delivery_uid: str
    epoch: int
    storage_half: bytes
    ballast_bytes: int
    expects_data: bool = False

    def __repr__(self) -> str:
        return f"Place({self.folder}, delivery {self.delivery_id})"


@dataclass(slots=True)
class Journal:
    """An open volume. ``connection`` belongs to the writer thread from its start on."""

    place: Place
    lock: volume.VolumeLock
    path: Path
    key: DatabaseKey
    connection: Connection
    guard: volume.Guard
    ballast: volume.Ballast
    state: State
    signing_key: SigningKey
    recovered: bool


def open_journal(place: Place, lock: volume.VolumeLock, now: int) -> Journal:
    """Recover the file on the volume, or make one. Raises StartRefused in words."""
    try:
        volume.remove_copies(place.folder)
        existing = volume.find_file(place.folder, place.delivery_id)
        if existing is None and place.expects_data:
            raise VolumeRefused(
                f"{place.folder} holds no database, although this delivery has begun: the volume"
                " was emptied or swapped; put the right one back"
            )
        key = _key(place, existing)
        path = existing or place.folder / volume.new_name(place.delivery_id, instants.text(now))
        opened = database.recover(path, key) if existing else database.create(path, key)
    except OSError as error:
        raise VolumeRefused(f"{place.folder}: {error.strerror}; is it writable?") from None
    try:
        return _journal(place, lock, path, key, opened, now)
    except database.DriverError as error:
        opened.close()
        raise FileDamaged(f"{path} cannot be read ({error}); restore the volume") from None
    except StartRefused:
        opened.close()
        raise


def _key(place: Place, existing: Path | None) -> DatabaseKey:
    if existing is not None or (place.folder / "volume.key").exists():
        half = keyring.read_volume_half(place.folder)
    else:
        half = keyring.create_volume_half(place.folder)
    return keyring.derive(place.storage_half, half, place.delivery_uid)


def _journal(
    place: Place,
    lock: volume.VolumeLock,
    path: Path,
    key: DatabaseKey,
    connection: Connection,
    now: int,
) -> Journal:
    born_before = loading.meta(connection, "signing_key") is not None
    with database.transaction(connection):
        identity, signing_key = _register_opening(place, connection, now)
    state = State(identity)
    loading.load_whole(connection, state)
    bundle = loading.meta(connection, "bundle")
    if bundle is not None:
        loading.load_people(connection, state, trust.stored_paper(bundle))
    ballast = volume.Ballast(place.folder, place.ballast_bytes)
    if not state.whole.storage_full:
        ballast.hold()
    return Journal(
        place=place,
        lock=lock,
        path=path,
        key=key,
        connection=connection,
        guard=volume.Guard(path),
        ballast=ballast,
        state=state,
        signing_key=signing_key,
        recovered=born_before,
    )


def _register_opening(
    place: Place, connection: Connection, now: int
) -> tuple[records.Identity, SigningKey]:
    """Raise the incarnation; on the first opening, draw the signing key and name the owner."""
    text = loading.meta(connection, "signing_key")
    signing_key = SigningKey.generate() if text is None else SigningKey.from_text(text)
    if text is None:
        connection.executemany(
            "INSERT INTO meta (name, value) VALUES (?, ?)",
            [
                ("signing_key", signing_key.to_text()),
                ("uid", place.delivery_uid),
                ("schema_version", SCHEMA_VERSION),
            ],
        )
    elif loading.meta(connection, "uid") != place.delivery_uid:
        raise VolumeRefused(f"{place.folder} holds the file of another delivery's uid")
    elif loading.meta(connection, "schema_version") != SCHEMA_VERSION:
        raise VolumeRefused(f"{place.folder} was written by another version of the exam-client")
    row = connection.execute(
        "SELECT coalesce(max(incarnation), 0) + 1 FROM incarnations"
    ).fetchone()
    prefix = secrets.token_hex(8)
    connection.execute(
        "INSERT INTO incarnations (incarnation, epoch, opened_at, event_prefix) VALUES (?,?,?,?)",
        (row[0], place.epoch, instants.text(now), prefix),
    )
    identity = records.Identity(
        delivery_id=place.delivery_id,
        delivery_uid=place.delivery_uid,
        epoch=place.epoch,
        incarnation=int(row[0]),
        event_prefix=prefix,
    )
    return identity, signing_key
