"""The folder a delivery lives in: its lock, its files, its ballast, and whether it is still there.

SQLite commits happily into deleted files, so the guard compares path and descriptor of the file and
its log. It looks at SQLite's own descriptors through /proc: opening and closing the file beside
SQLite would drop SQLite's POSIX locks.
"""

import fcntl
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from exam_client.errors import StorageLost, VolumeInUse, VolumeRefused
from exam_client.store.keyring import sync_folder

LOCK = "exam-client.lock"
BALLAST = "ballast"
ERASED_MARKER = "erased.json"
_NAME = re.compile(r"^delivery_(\d+)_(\d{8}T\d{12}Z)\.db$")
_BLOCK = 1024 * 1024


class VolumeLock:
    """An exclusive flock on a file beside the database, held for the life of the process."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / LOCK
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._descriptor = os.open(self._path, os.O_CREAT | os.O_RDWR, 0o600)
        except OSError as error:
            raise VolumeRefused(
                f"{folder} cannot be written ({error.strerror}); give the exam-client its own"
                " writable folder"
            ) from None
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.pread(self._descriptor, 64, 0).decode("ascii", "replace").strip()
            os.close(self._descriptor)
            raise VolumeInUse(
                f"another exam-client (process {holder or 'unknown'}) already runs on {folder};"
                " stop it first, one file has one exam-client"
            ) from None
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        os.close(self._descriptor)


def find_file(folder: Path, delivery_id: int) -> Path | None:
    """The newest database file, or None. Raises VolumeRefused when two look alive or foreign."""
    found = [entry for entry in folder.iterdir() if _NAME.match(entry.name)]
    foreign = [entry.name for entry in found if _delivery_of(entry) != delivery_id]
    if foreign:
        raise VolumeRefused(
            f"{folder} holds {foreign[0]}, the file of another delivery; this is delivery"
            f" {delivery_id}: give it its own volume"
        )
    alive = sorted((entry for entry in found if entry.stat().st_size > 0), reverse=True)
    logged = [entry for entry in alive if _log_size(entry) > 0]
    if len(alive) > 1 and (len(logged) > 1 or (logged and logged[0] != alive[0])):
        names = ", ".join(entry.name for entry in alive)
        raise VolumeRefused(
            f"{folder} holds more than one living file ({names}); move all but the right one away"
        )
    return alive[0] if alive else None


def copy_path(folder: Path, delivery_id: int) -> Path:
    """Where a backup is made: an erase destroys it, and no start takes it for the file."""
    return folder / f"delivery_{delivery_id}_backup.db"


def remove_copies(folder: Path) -> None:
    """What a backup left that was cut off."""
    for path in folder.glob("delivery_*_backup.db*"):
        path.unlink(missing_ok=True)


def new_name(delivery_id: int, instant_text: str) -> str:
    """``delivery_{id}_{timestamp}.db``, the timestamp in UTC with microseconds."""
    stamp = instant_text.replace("-", "").replace(":", "").replace(".", "")
    return f"delivery_{delivery_id}_{stamp}.db"


@dataclass(frozen=True, slots=True)
class _Watched:
    descriptor: int
    path: str
    device: int
    inode: int


class Guard:
    """Is the file that SQLite writes to still the one at its path?"""

    def __init__(self, path: Path) -> None:
        self._watched = [
            found for name in (str(path), f"{path}-wal") for found in _own_descriptors(name)
        ]
        names = {watched.path for watched in self._watched}
        if names != {str(path), f"{path}-wal"}:
            raise VolumeRefused(f"{path} is not open as expected; is /proc mounted?")

    def check(self) -> None:
        """Raises StorageLost when a descriptor and its path no longer agree."""
        for watched in self._watched:
            try:
                held, named = os.fstat(watched.descriptor), os.stat(watched.path)
            except OSError as error:
                raise StorageLost(f"{watched.path}: {error.strerror}") from None
            same = (watched.device, watched.inode)
            if (
                held.st_nlink < 1
                or (held.st_dev, held.st_ino) != same
                or (named.st_dev, named.st_ino) != same
            ):
                raise StorageLost(f"{watched.path} is no longer the file that is written to")


class Ballast:
    """Space held back: given up when the volume is full, so that closing and transfer work."""

    def __init__(self, folder: Path, size: int) -> None:
        self._path, self._size = folder / BALLAST, size

    def hold(self) -> bool:
        """Take the space; False when there is none."""
        try:
            if self._path.exists() and self._path.stat().st_size == self._size:
                return True
            with self._path.open("wb") as file:
                for _ in range(0, self._size, _BLOCK):
                    file.write(bytes(min(_BLOCK, self._size)))
                file.truncate(self._size)
                file.flush()
                os.fsync(file.fileno())
        except OSError:
            self.release()
            return False
        return True

    def release(self) -> None:
        self._path.unlink(missing_ok=True)

    def room_to_hold(self) -> bool:
        """Whether there is space for the ballast and as much again."""
        return shutil.disk_usage(self._path.parent).free > 2 * self._size + 4 * _BLOCK

    def free_bytes(self) -> int:
        return shutil.disk_usage(self._path.parent).free


def shred(folder: Path, paths: list[Path]) -> None:
    """Overwrite, truncate and unlink files, durably. Missing ones are done already."""
    for path in paths:
        if path.exists():
            _overwrite(path)
            path.unlink()
    sync_folder(folder)


def all_files(folder: Path) -> list[Path]:
    """Everything that can hold data of a delivery: files, logs, key half, ballast."""
    patterns = ("delivery_*.db", "delivery_*.db-*", "volume.key", BALLAST)
    return sorted(path for pattern in patterns for path in folder.glob(pattern))


def write_durably(path: Path, data: bytes) -> None:
    """Replace a small file atomically and durably."""
    temporary = path.with_suffix(".new")
    with temporary.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    sync_folder(path.parent)


def _overwrite(path: Path) -> None:
    with path.open("r+b") as file:
        left = path.stat().st_size
        while left > 0:
            left -= file.write(os.urandom(min(left, _BLOCK)))
        file.flush()
        os.fsync(file.fileno())
        file.truncate(0)
        os.fsync(file.fileno())


def _own_descriptors(path: str) -> list[_Watched]:
    found = []
    for entry in os.listdir("/proc/self/fd"):
        try:
            if os.readlink(f"/proc/self/fd/{entry}") != path:
                continue
            status = os.fstat(int(entry))
        except OSError:
            continue
        found.append(_Watched(int(entry), path, status.st_dev, status.st_ino))
    return found


def _delivery_of(path: Path) -> int:
    match = _NAME.match(path.name)
    return int(match.group(1)) if match else 0


def _log_size(path: Path) -> int:
    log = Path(f"{path}-wal")
    return log.stat().st_size if log.exists() else 0
