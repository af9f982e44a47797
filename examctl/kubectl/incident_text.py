"""An incident report as Markdown, for people and tickets."""

from collections.abc import Iterable, Iterator
from typing import Any

Json = dict[str, Any]


def markdown(report: Json) -> str:
    """The document of ``incident.document``."""
    return "\n".join(_lines(report)) + "\n"


def _lines(report: Json) -> Iterator[str]:
    delivery = report["delivery"]
    yield f"# Incident report: {delivery['namespace']}/{delivery['name']}"
    yield f"\nMade {report['made_at']}. It holds no secret, no name of a person and no answer."
    yield from _section("What can be done", _advice(report["advice"]))
    yield from _section("Delivery", _facts(delivery))
    yield from _section("Status", _facts(report["status"]))
    yield from _section("Conditions", _conditions(report["conditions"]))
    yield from _section("Pod", _facts(report["pod"]) if report["pod"] else ["There is no pod."])
    yield from _section(
        "Volume", _facts(report["volume"]) if report["volume"] else ["There is no volume claim."]
    )
    yield from _section("What the exam-client says", _facts(report["exam_client"]))
    yield from _section("What the coordinator says", _facts(report["coordinator"]))
    yield from _section("Events, the oldest first", _events(report["events"]))
    yield from _section("Spec", _facts(report["spec"]))


def _section(title: str, lines: Iterable[str]) -> Iterator[str]:
    yield f"\n## {title}\n"
    yield from lines


def _advice(found: list[Json]) -> Iterator[str]:
    if not found:
        yield "Nothing needs a person."
    for one in found:
        yield f"- **{one['trouble']}**: {_plain(one['told'])}\n  - {one['action']}"


def _conditions(found: list[Json]) -> Iterator[str]:
    yield from _table(
        ("condition", "status", "reason", "since", "in words"),
        ((one["type"], one["status"], one["reason"], one["since"], one["words"]) for one in found),
    )


def _events(found: list[Json]) -> Iterator[str]:
    if not found:
        yield "None is kept any more."
        return
    names = ("last", "count", "type", "about", "reason", "message")
    yield from _table(names, (tuple(one[name] for name in names) for one in found))


def _table(head: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{'|'.join(' --- ' for _ in head)}|"
    for row in rows:
        yield f"| {' | '.join(_plain(cell) for cell in row)} |"


def _facts(facts: Json, indent: str = "") -> Iterator[str]:
    """Nested lists; what is absent or empty is left out."""
    for name, value in facts.items():
        if isinstance(value, dict) and value:
            yield f"{indent}- {name}:"
            yield from _facts(value, indent + "  ")
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            yield f"{indent}- {name}:"
            for one in value:
                inner = ", ".join(f"{key} {_plain(text)}" for key, text in one.items())
                yield f"{indent}  - {inner}"
        elif value not in (None, "", [], {}):
            yield f"{indent}- {name}: {_plain(value)}"


def _plain(value: object) -> str:
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return " ".join(text.replace("|", "\\|").split())
