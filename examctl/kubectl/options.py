"""Options that every verb has, as kubectl names them."""

from pathlib import Path
from typing import Annotated

import typer

NameArgument = Annotated[str, typer.Argument(help="Name of the ExamDelivery.")]
NamespaceOption = Annotated[
    str | None,
    typer.Option(
        "--namespace",
        "-n",
        help="Namespace of the delivery. Default: the context's.",
        show_default=False,
    ),
]
KubeconfigOption = Annotated[
    Path | None,
    typer.Option(
        "--kubeconfig", help="Default: KUBECONFIG, else ~/.kube/config.", show_default=False
    ),
]
ContextOption = Annotated[
    str | None,
    typer.Option("--context", help="Which cluster. Default: the current one.", show_default=False),
]
AddressOption = Annotated[
    str | None,
    typer.Option(
        "--address",
        help="HOST:PORT at which the delivery's control port is reached already, for clusters"
        " without port-forward. Who answers there is checked in the same way.",
        show_default=False,
    ),
]
