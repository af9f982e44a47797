"""``kubectl exam status``: where deliveries stand, what troubles them, what a person can do."""

from typing import Annotated

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from exam_contract.delivery import ExamDelivery
from examctl import console, object_views
from examctl.console import Output, OutputOption
from examctl.errors import UnreadableInputError
from examctl.kubectl import deliveries
from examctl.kubectl.advice import Advice, advice
from examctl.kubectl.cluster import Cluster, Kind
from examctl.kubectl.options import ContextOption, KubeconfigOption, NamespaceOption


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("status")(status)


def status(
    name: Annotated[
        str | None,
        typer.Argument(help="Name of the ExamDelivery. Default: all of them.", show_default=False),
    ] = None,
    everywhere: Annotated[
        bool, typer.Option("--all-namespaces", "-A", help="Deliveries of every namespace.")
    ] = False,
    namespace: NamespaceOption = None,
    kubeconfig: KubeconfigOption = None,
    context: ContextOption = None,
    output: OutputOption = Output.TEXT,
) -> None:
    """Tell where one delivery or all of them stand, what is wrong and what a person can do.

    With a name: phase, epoch, restarts, counts, transfer, pod, volume, addresses and every
    condition in words. Without: a table, and below it what needs a person.
    """
    if name is not None and everywhere:
        raise UnreadableInputError("give a name or -A, not both", "a name belongs to one namespace")
    cluster = Cluster.connect(kubeconfig, context, namespace)
    if name is not None:
        _show_one(deliveries.existing(cluster, name), output)
        return
    raw = cluster.listed(Kind.DELIVERY, everywhere=everywhere)
    found = sorted(
        (deliveries.parse(one) for one in raw),
        key=lambda one: (one.metadata.namespace, one.metadata.name),
    )
    _show_all(found, cluster, output, everywhere=everywhere)


def _show_one(stored: ExamDelivery, output: Output) -> None:
    if output is Output.JSON:
        console.show_json(_document(stored))
    else:
        console.out.print(Group(object_views.description(stored), Text(""), told(advice(stored))))


def _show_all(
    found: list[ExamDelivery], cluster: Cluster, output: Output, *, everywhere: bool
) -> None:
    if output is Output.JSON:
        console.show_json({"items": [_document(stored) for stored in found]})
        return
    if not found:
        place = "any namespace" if everywhere else f"namespace {cluster.namespace}"
        console.err.print(f"there is no ExamDelivery in {place}", markup=False)
        return
    console.show_table(object_views.table(found, wide=True, namespaces=everywhere))
    for stored in found:
        troubles = advice(stored)
        if troubles:
            meta = stored.metadata
            console.out.print(Text(f"\n{meta.namespace}/{meta.name}", style="bold"))
            console.out.print(told(troubles))


def told(found: list[Advice]) -> RenderableType:
    """Each trouble in a line, and below it what to do."""
    if not found:
        return Text("Nothing needs a person.", style="green")
    lines: list[Text] = []
    for one in found:
        lines.append(Text.assemble((one.trouble, "bold yellow"), f": {one.told}"))
        lines.append(Text.assemble(("  what to do: ", "dim"), one.action))
    return Group(*lines)


def _document(stored: ExamDelivery) -> dict[str, object]:
    return {"object": stored.to_dict(), "advice": [one.to_dict() for one in advice(stored)]}
