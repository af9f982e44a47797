"""``apply``, ``get``, ``describe`` and ``delete``: ExamDelivery objects, as with kubectl."""

from enum import StrEnum
from typing import Annotated, Any

import typer

from exam_contract.delivery import DISCARD_ANNOTATION, GROUP, ExamDelivery
from examctl import console, manifests, object_views
from examctl.console import HomeOption, Output, OutputOption
from examctl.edge_api import EdgeApi
from examctl.errors import ExamctlError
from examctl.runtime import Runtime

NamespaceOption = Annotated[str, typer.Option("--namespace", "-n", help="Namespace.")]
NameArgument = Annotated[str, typer.Argument(help="Name of the ExamDelivery.")]


class View(StrEnum):
    """How ``get`` shows objects."""

    TEXT = "text"
    WIDE = "wide"
    JSON = "json"
    YAML = "yaml"


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("apply")(apply)
    app.command("get")(get)
    app.command("describe")(describe)
    app.command("delete")(delete)


def apply(
    file: Annotated[
        str, typer.Option("--file", "-f", help="YAML file, several documents allowed; - is stdin.")
    ],
    home: HomeOption = None,
    output: OutputOption = Output.TEXT,
) -> None:
    """Create or change ExamDelivery objects. Fields that a file leaves out keep what they have."""
    documents = manifests.read(file)
    with EdgeApi(Runtime.load(home)) as edge:
        results = [_apply_one(edge, document) for document in documents]
    if output is Output.JSON:
        console.show_json([{"name": name, "result": result} for name, result in results])
        return
    for name, result in results:
        console.out.print(f"examdelivery.{GROUP}/{name} {result}")


def get(
    name: Annotated[str | None, typer.Argument(help="One object. Default: all.")] = None,
    namespace: NamespaceOption = "default",
    output: Annotated[
        View, typer.Option("--output", "-o", help="text, wide, json or yaml.")
    ] = View.TEXT,
    home: HomeOption = None,
) -> None:
    """List deliveries, or show one."""
    with EdgeApi(Runtime.load(home)) as edge:
        found = edge.list(namespace) if name is None else [_existing(edge, namespace, name)]
    match output:
        case View.JSON | View.YAML:
            shown: object = [one.to_dict() for one in found]
            if name is not None:
                shown = found[0].to_dict()
            if output is View.JSON:
                console.show_json(shown)
            else:
                console.out.out(object_views.as_yaml(shown), end="")
        case View.TEXT | View.WIDE:
            _show_table(found, wide=output is View.WIDE)


def describe(
    name: NameArgument,
    namespace: NamespaceOption = "default",
    home: HomeOption = None,
    output: OutputOption = Output.TEXT,
) -> None:
    """Everything about one delivery: where it stands, why, and what is wrong."""
    with EdgeApi(Runtime.load(home)) as edge:
        stored = _existing(edge, namespace, name)
    if output is Output.JSON:
        console.show_json(stored.to_dict())
    else:
        console.out.print(object_views.description(stored))


def delete(
    name: NameArgument,
    discard: Annotated[
        bool,
        typer.Option(
            "--discard-untransferred-data",
            help="Give up answers that were not transferred. There is no way back.",
        ),
    ] = False,
    namespace: NamespaceOption = "default",
    home: HomeOption = None,
    output: OutputOption = Output.TEXT,
) -> None:
    """Delete a delivery. Refused while it holds data that was not transferred."""
    with EdgeApi(Runtime.load(home)) as edge:
        stored = _existing(edge, namespace, name)
        if discard:
            _annotate(edge, stored, {DISCARD_ANNOTATION: stored.metadata.uid or ""})
        edge.delete(namespace, name)
    if output is Output.JSON:
        console.show_json({"name": name, "result": "deleted"})
    else:
        console.out.print(f"examdelivery.{GROUP}/{name} deleted")


def _apply_one(edge: EdgeApi, document: dict[str, Any]) -> tuple[str, str]:
    name = document["metadata"]["name"]
    namespace = document["metadata"].get("namespace", "default")
    stored = edge.get(namespace, name)
    if stored is None:
        edge.create(namespace, _bare(document))
        return name, "created"
    merged = _merged(_bare(stored.to_dict()), _bare(document))
    replaced = edge.replace(namespace, name, merged)
    same = replaced.spec == stored.spec and _marks(replaced) == _marks(stored)
    return name, "unchanged" if same else "configured"


def _marks(stored: ExamDelivery) -> tuple[dict[str, str], dict[str, str]]:
    return stored.metadata.labels, stored.metadata.annotations


def _bare(document: dict[str, Any]) -> dict[str, Any]:
    """What a person writes: no status, and of the metadata only what is theirs."""
    kept = ("name", "namespace", "labels", "annotations")
    meta = {key: value for key, value in document["metadata"].items() if key in kept}
    return {key: document[key] for key in ("apiVersion", "kind", "spec")} | {"metadata": meta}


def _merged(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _merged(merged[key], value) if both else value
    return merged


def _annotate(edge: EdgeApi, stored: ExamDelivery, annotations: dict[str, str]) -> None:
    document = _bare(stored.to_dict())
    document["metadata"]["annotations"] = {**stored.metadata.annotations, **annotations}
    edge.replace(stored.metadata.namespace, stored.metadata.name, document)


def _existing(edge: EdgeApi, namespace: str, name: str) -> ExamDelivery:
    stored = edge.get(namespace, name)
    if stored is None:
        raise ExamctlError(
            f"there is no ExamDelivery {name} in {namespace}", "`examctl get` lists them"
        )
    return stored


def _show_table(found: list[ExamDelivery], *, wide: bool) -> None:
    if found:
        console.show_table(object_views.table(found, wide=wide))
    else:
        console.err.print(
            "no deliveries; create one with `examctl apply -f examples/delivery.yaml`"
        )
