"""ExamDelivery YAML: what is read, and what is refused with its line or field path."""

import re
from pathlib import Path

import pytest
import yaml

from examctl import manifests
from examctl.errors import RefusedError, UnreadableInputError
from tests.support import deliveries

EXAMPLE = Path(__file__).parents[3] / "examples" / "delivery.yaml"


def written(folder: Path, text: str) -> str:
    path = folder / "delivery.yaml"
    path.write_text(text)
    return str(path)


def text(**changes: object) -> str:
    document = deliveries.document()
    document["spec"] |= changes
    return yaml.safe_dump(document)


def test_the_example_is_accepted() -> None:
    [document] = manifests.read(str(EXAMPLE))
    assert document["spec"]["exam"]["id"] == "clinical-knowledge"


def test_several_documents_are_read_in_order(tmp_path: Path) -> None:
    both = "---\n".join(yaml.safe_dump(deliveries.document(name)) for name in ("one", "two"))
    read = manifests.read(written(tmp_path, both))
    assert [document["metadata"]["name"] for document in read] == ["one", "two"]


def test_times_stay_the_text_that_was_written(tmp_path: Path) -> None:
    document = re.sub(r"'(2026-[^']+)'", r"\1", text())
    [read] = manifests.read(written(tmp_path, document))
    assert isinstance(read["spec"]["window"]["opensAt"], str)


@pytest.mark.parametrize(
    ("broken", "place"),
    [
        ("spec:\n  exam: {id: a\nkind: x\n", "line 3, column 5"),
        ("a: 1\n b: 2\n", "line 2, column 3"),
        ("a: 'never closed\n", "line 2, column 1"),
        ("a: 1\n\tb: 2\n", "line 2, column 1"),
        ("kind: ExamDelivery\nkind: ExamDelivery\n", "line 2, column 1"),
        ("a: *nobody\n", "line 1, column 4"),
        ("a: !!python/object:os.system {}\n", "line 1, column 4"),
    ],
)
def test_malformed_yaml_names_its_line(tmp_path: Path, broken: str, place: str) -> None:
    with pytest.raises(UnreadableInputError) as refused:
        manifests.read(written(tmp_path, broken))
    assert refused.value.errors[0].path == place
    assert refused.value.exit_code == 2


@pytest.mark.parametrize("cut", [0.3, 0.5, 0.7, 0.9])
def test_a_truncated_file_is_never_half_accepted(tmp_path: Path, cut: float) -> None:
    whole = EXAMPLE.read_text()
    # Past the last required field a shorter file is a shorter, valid object.
    whole = whole[: whole.index("    maxCount")]
    with pytest.raises((UnreadableInputError, RefusedError)):
        manifests.read(written(tmp_path, whole[: int(len(whole) * cut)]))


def test_a_fault_in_one_document_refuses_them_all(tmp_path: Path) -> None:
    good, bad = text(), text(replicas=3)
    with pytest.raises(RefusedError) as refused:
        manifests.read(written(tmp_path, f"{good}---\n{bad}"))
    assert "document 2 of 2" in refused.value.message
    assert refused.value.errors[0].path == "spec.replicas"
    assert refused.value.exit_code == 3


@pytest.mark.parametrize("empty", ["", "---\n", "# a comment\n"])
def test_an_empty_file_is_told(tmp_path: Path, empty: str) -> None:
    with pytest.raises(UnreadableInputError, match="holds no ExamDelivery"):
        manifests.read(written(tmp_path, empty))


def test_a_missing_file_is_told() -> None:
    with pytest.raises(UnreadableInputError, match="can't be read"):
        manifests.read("/nowhere/delivery.yaml")


def test_a_file_that_is_no_text_is_told(tmp_path: Path) -> None:
    path = tmp_path / "delivery.yaml"
    path.write_bytes(b"kind: \xff\xfe")
    with pytest.raises(UnreadableInputError, match="not UTF-8 at byte 6"):
        manifests.read(str(path))
