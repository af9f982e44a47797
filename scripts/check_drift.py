"""Finds files that have drifted from what they are made from, without the network.

A lock must carry the digest of its `.in` files, an extra must repeat its `.in` file, and no file
may hold a path of somebody's home or of a place where it was written, a note about work to come
or, in a lock, a download address. `--stamp LOCK` writes the digest (scripts/lock.sh calls it).
"""

import hashlib
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
REQUIREMENTS = ROOT / "requirements"
LOCKS = ("bootstrap", "cluster", "client", "coordinator", "operator", "dev")
EXTRAS = ("client", "coordinator", "operator", "dev")
STAMP = "# inputs sha256:"
# Written so that this file does not find itself.
HOME_PATH = re.compile(r"/(?:home|Users)/[A-Za-z0-9_]|/[r]oot/|/[w]ork/")
NOTE = re.compile(r"\b(?:[s]hared/|(?:[T]ODO|[F]IXME|[a]ssistant)\b)", re.IGNORECASE)


def main(arguments: list[str]) -> int:
    if arguments[:1] == ["--stamp"]:
        stamp(Path(arguments[1]))
        return 0
    findings = [finding for check in CHECKS for finding in check()]
    for finding in findings:
        print(finding)
    return 1 if findings else 0


def stamp(lock: Path) -> None:
    """Puts the digest on the lock's first line."""
    body = [line for line in lock.read_text().splitlines() if not line.startswith(STAMP)]
    lock.write_text("\n".join([f"{STAMP} {inputs_digest(lock.stem)}", *body]) + "\n")


def stale_locks() -> Iterator[str]:
    for name in LOCKS:
        lock = REQUIREMENTS / f"{name}.lock"
        first = lock.read_text().partition("\n")[0] if lock.exists() else ""
        if first != f"{STAMP} {inputs_digest(name)}":
            yield f"requirements/{name}.lock is older than its .in files: run `make lock`"


def addresses_in_locks() -> Iterator[str]:
    for name in LOCKS:
        text = (REQUIREMENTS / f"{name}.lock").read_text()
        if re.search(r"https?://|file://|--(?:index|extra-index|find-links)", text):
            yield f"requirements/{name}.lock names a download address: run `make lock`"


def extras_apart_from_inputs() -> Iterator[str]:
    with (ROOT / "pyproject.toml").open("rb") as file:
        extras = tomllib.load(file)["project"]["optional-dependencies"]
    for name in EXTRAS:
        declared = {line for line in extras[name] if not line.startswith("medxamion[")}
        wanted = requirements_of(name)
        for line in sorted(declared ^ wanted):
            place = f"requirements/{name}.in" if line in declared else f"extra `{name}`"
            yield f"{line} is missing in {place} (pyproject.toml and .in must agree)"


def lines_from_elsewhere() -> Iterator[str]:
    for place, line in tracked_lines():
        if HOME_PATH.search(line) or f"{ROOT}/" in line:
            yield f"{place} holds a path of one machine"
        if found := NOTE.search(line):
            yield f"{place} says {found[0]}, which is no word of the product"


def inputs_digest(name: str) -> str:
    """Digest of an .in file and of those it includes."""
    digest = hashlib.sha256()
    for path in input_files(name):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def input_files(name: str) -> list[Path]:
    path = REQUIREMENTS / f"{name}.in"
    included = re.findall(r"^-r (\w+)\.in$", path.read_text(), flags=re.MULTILINE)
    return [path, *(file for inner in included for file in input_files(inner))]


def requirements_of(name: str) -> set[str]:
    lines = (REQUIREMENTS / f"{name}.in").read_text().splitlines()
    return {line for line in lines if line and not line.startswith(("#", "-r "))}


def tracked_lines() -> Iterator[tuple[str, str]]:
    """Every line of every text file, with its place."""
    for path in tracked_files():
        try:
            text = path.read_text()
        except (UnicodeDecodeError, FileNotFoundError, IsADirectoryError):
            continue
        for number, line in enumerate(text.splitlines(), start=1):
            yield f"{path.relative_to(ROOT)}:{number}", line


def tracked_files() -> list[Path]:
    """What git tracks or would track, so that a new file is checked before its commit."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return [ROOT / name for name in listing.split("\0") if name]


CHECKS: tuple[Callable[[], Iterator[str]], ...] = (
    stale_locks,
    addresses_in_locks,
    extras_apart_from_inputs,
    lines_from_elsewhere,
)

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
