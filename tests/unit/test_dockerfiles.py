"""The Dockerfiles say what Docker and buildah understand alike, and what a strict cluster runs."""

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
IMAGES = sorted(ROOT.glob("Dockerfile.*"))
PACKAGES = {"client": "exam_client", "coordinator": "coordinator", "operator": "exam_operator"}


def test_there_is_one_for_each_part() -> None:
    assert {path.suffix[1:] for path in IMAGES} == set(PACKAGES)


@pytest.mark.parametrize("path", IMAGES, ids=lambda path: path.name)
def test_it_has_no_heredoc(path: Path) -> None:
    """Older buildah runs the first line alone, and says nothing."""
    assert not re.search(r"<<-?\s*['\"]?\w", path.read_text("utf-8"))


@pytest.mark.parametrize("path", IMAGES, ids=lambda path: path.name)
def test_its_base_is_an_argument_without_a_digest(path: Path) -> None:
    """So that a company's base, or a stand-in where no registry is reached, takes its place."""
    first, *_ = instructions(path)
    bases = {words.partition(" AS ")[0] for name, words in instructions(path) if name == "FROM"}

    assert first[0] == "ARG"
    assert re.fullmatch(r"BASE=[\w./:-]+", first[1])
    assert bases == {"${BASE}"}


@pytest.mark.parametrize("path", IMAGES, ids=lambda path: path.name)
def test_it_starts_its_part_in_exec_form_as_nobody(path: Path) -> None:
    """A shell as PID 1 keeps SIGTERM to itself; a user by name is none that a kubelet can check."""
    last = final_stage(path)

    assert json.loads(last["ENTRYPOINT"]) == ["python", "-m", PACKAGES[path.suffix[1:]]]
    assert last["USER"] == "65532:65532"
    assert "CMD" not in last


def instructions(path: Path) -> list[tuple[str, str]]:
    """Names and words, comments left out and continued lines joined."""
    kept = [line for line in path.read_text("utf-8").splitlines() if not line.startswith("#")]
    joined = re.sub(r"\\\n", " ", "\n".join(kept))
    split = [line.partition(" ") for line in joined.splitlines() if line.strip()]
    return [(name, words.strip()) for name, _, words in split]


def final_stage(path: Path) -> dict[str, str]:
    """Each instruction of the last stage, as it was said last."""
    stage: dict[str, str] = {}
    for name, words in instructions(path):
        stage = {} if name == "FROM" else {**stage, name: words}
    return stage
