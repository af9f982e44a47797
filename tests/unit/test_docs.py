"""What the code offers stands in the documents, and the documents point at things that exist."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from coordinator.adapters.metrics import Metrics as CoordinatorMetrics
from coordinator.settings import Settings as CoordinatorSettings
from exam_client.services.metrics import Metrics as ClientMetrics
from exam_client.settings import Settings as ClientSettings
from exam_contract import problems
from exam_operator.adapters.metrics import OperatorMetrics
from exam_operator.settings import ClusterSettings

ROOT = Path(__file__).parents[2]
PROTOCOL = (ROOT / "docs" / "protocol.md").read_text("utf-8")
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/*.md")])
ASKED = re.compile(r'metrics\.ask\(\s*f?"([a-z_{}]+)"')
LINK = re.compile(r"\]\(([^)\s]+)\)")
PATH = re.compile(
    r"`((?:bench|coordinator|crds|docs|exam_client|exam_contract|examctl|examples|operator|scripts"
    r"|tests)/[\w./-]+)`"
)


@pytest.mark.parametrize("code", problems.ProblemCode)
def test_each_problem_code_stands_with_its_status_and_what_to_do(
    code: problems.ProblemCode,
) -> None:
    status, _ = problems.STATUS[code]

    assert re.search(rf"^\| `{code}` \| {status} \| \S.+ \|$", PROTOCOL, re.MULTILINE)


def test_no_problem_code_is_documented_that_does_not_exist() -> None:
    table = PROTOCOL.split("## 10. Problem codes")[1].split("## 11.")[0]
    rows = re.findall(r"^\| `([a-z_]+)` \|", table, re.MULTILINE)

    assert rows == [str(code) for code in problems.ProblemCode]


@pytest.mark.parametrize(
    "name",
    [
        *ClientSettings.model_fields,
        *CoordinatorSettings.model_fields,
        *ClusterSettings.model_fields,
    ],
)
def test_each_setting_is_documented(name: str) -> None:
    settings = PROTOCOL.split("## 8. Settings")[1].split("## 9.")[0]

    assert re.search(rf"\b{name.upper()}\b", settings)


def test_each_metric_is_documented() -> None:
    told = set(re.findall(r"`(medxamion_[a-z_]+)`", PROTOCOL.split("## 11. Metrics")[1]))

    assert told == set(_metrics())


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_and_paths_lead_somewhere(document: Path) -> None:
    text = document.read_text("utf-8")
    links = [link.split("#")[0] for link in LINK.findall(text) if "://" not in link]
    targets = [document.parent / link for link in links if link]
    targets += [ROOT / path for path in PATH.findall(text)]

    assert [str(target) for target in targets if not target.exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_anchors_lead_to_headings(document: Path) -> None:
    text = document.read_text("utf-8")

    for link in LINK.findall(text):
        path, _, anchor = link.partition("#")
        if not anchor or "://" in link:
            continue
        target = (document.parent / path).read_text("utf-8") if path else text
        assert anchor in {_anchor(heading) for heading in re.findall(r"^#+ (.+)$", target, re.M)}


@pytest.mark.parametrize(
    "document", sorted((ROOT / "docs" / "adr").glob("*.md")), ids=lambda p: p.stem
)
def test_each_decision_says_why_and_what_enforces_it(document: Path) -> None:
    text = document.read_text("utf-8")

    assert re.match(rf"# {int(document.stem[:4])}\. \S", text)
    assert all(f"**{part}" in text for part in ("Decided.", "Why.", "Refused.", "Enforced by"))
    assert len(text.splitlines()) <= 50


def test_decisions_are_numbered_without_gaps() -> None:
    numbers = [int(path.stem[:4]) for path in sorted((ROOT / "docs" / "adr").glob("*.md"))]

    assert numbers == list(range(1, len(numbers) + 1))


def _metrics() -> Iterator[str]:
    for exposition in (
        ClientMetrics().text(),
        CoordinatorMetrics().render(),
        OperatorMetrics().text(),
    ):
        yield from re.findall(r"^# TYPE (\S+)(?<!_created) ", exposition.decode(), re.MULTILINE)
    source = (ROOT / "exam_client" / "services" / "status.py").read_text("utf-8")
    for name in ASKED.findall(source):
        words = ("ok", "full", "lost", "erased") if "{word}" in name else ("",)
        yield from (f"medxamion_client_{name.replace('{word}', word)}" for word in words)


def _anchor(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
