"""``kubectl exam report``: everything that is known of an incident, written down at once."""

import os
import ssl
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from exam_contract.delivery import ExamDelivery
from exam_operator.core import names
from examctl import console
from examctl.console import Output, OutputOption
from examctl.coordinator_api import Coordinator, TokenFileOption, UrlOption
from examctl.errors import ExamctlError, UnreadableInputError
from examctl.files import create_private
from examctl.kubectl import control_port, deliveries, incident, incident_text
from examctl.kubectl.cluster import Cluster, Json, Kind
from examctl.kubectl.options import (
    AddressOption,
    ContextOption,
    KubeconfigOption,
    NameArgument,
    NamespaceOption,
)

CaFileOption = Annotated[
    Path | None,
    typer.Option(
        "--ca-file",
        help="Certificates (PEM) for checking the coordinator's. Default: the machine's.",
        show_default=False,
    ),
]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("report")(report)


def report(
    name: NameArgument,
    file: Annotated[
        Path | None,
        typer.Option(
            "--file", "-f", help="Write here (0600, never over a file). Default: standard output."
        ),
    ] = None,
    url: UrlOption = None,
    token_file: TokenFileOption = None,
    ca_file: CaFileOption = None,
    address: AddressOption = None,
    namespace: NamespaceOption = None,
    kubeconfig: KubeconfigOption = None,
    context: ContextOption = None,
    output: OutputOption = Output.TEXT,
) -> None:
    """Write a report of an incident: Markdown, or JSON with --output json.

    Object, conditions, events, the pod and its restarts, the volume, what can be done, and what the
    exam-client and (with --url and --token-file) the coordinator say. Who can't be reached is named
    with the reason. It never holds a secret, a person's name or an answer.
    """
    cluster = Cluster.connect(kubeconfig, context, namespace)
    stored = deliveries.existing(cluster, name)
    views = {
        "exam_client": _asked(lambda: _client(cluster, stored, address)),
        "coordinator": _asked(lambda: _coordinator(stored, url, token_file, ca_file)),
    }
    child = names.of(stored)
    made = incident.document(
        stored,
        cluster.get(Kind.POD, child),
        cluster.get(Kind.CLAIM, child),
        _events(cluster, stored),
        views,
        datetime.now(UTC),
    )
    if output is Output.JSON and file is None:
        console.show_json(made)
        return
    text = console.as_json(made) if output is Output.JSON else incident_text.markdown(made)
    _write(text, file)


def _asked(ask: Callable[[], Json]) -> Json:
    try:
        return ask()
    except ExamctlError as error:
        return {"not_told": error.message}


def _client(cluster: Cluster, stored: ExamDelivery, address: str | None) -> Json:
    keys = control_port.read_keys(cluster, stored)
    with control_port.reached(cluster, stored, keys, address) as control:
        return incident.client_view(control.status())


def _coordinator(
    stored: ExamDelivery, url: str | None, token_file: Path | None, ca_file: Path | None
) -> Json:
    if url is None:
        raise ExamctlError("not asked: no --url was given")
    if stored.status.delivery_id is None:
        raise ExamctlError("not asked: the delivery has no number there yet")
    trust = _trusting(ca_file) if ca_file is not None else None
    with Coordinator.connect(None, url, token_file, trust) as coordinator:
        shown = coordinator.get(f"/api/deliveries/{stored.status.delivery_id}")
        return incident.coordinator_view(shown)


def _trusting(ca_file: Path) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_file)
    except (ssl.SSLError, OSError) as error:
        raise UnreadableInputError(f"{ca_file} holds no certificate that can be read") from error


def _events(cluster: Cluster, stored: ExamDelivery) -> list[Json]:
    """Of the object and of what belongs to it; earlier pods had the same name."""
    child = names.of(stored)
    wanted = [f"involvedObject.uid={stored.metadata.uid}"]
    wanted += [f"involvedObject.name={name}" for name in (child, f"{child}-tls")]
    return [
        event for selector in wanted for event in cluster.listed(Kind.EVENT, fieldSelector=selector)
    ]


def _write(text: str, file: Path | None) -> None:
    if file is None:
        sys.stdout.write(text)
        return
    with os.fdopen(create_private(file), "w") as made:
        made.write(text)
    console.err.print(f"The report is in {file}.", markup=False)
