"""``up`` and ``down``: the whole of MedXamion on one machine, out of one folder."""

from pathlib import Path
from typing import Annotated, Any

import typer

from examctl import console
from examctl.console import HomeOption, Output, OutputOption
from examctl.machine import detaching, options, running, stopping
from examctl.machine.options import Options
from examctl.runtime import Runtime, resolve_home

_PORTS = "Ports"


def _port(told: str) -> Any:
    return typer.Option(help=told, min=1, max=65_535, rich_help_panel=_PORTS)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("up")(up)
    app.command("down")(down)


def up(
    home: HomeOption = None,
    detach: Annotated[
        bool, typer.Option("--detach", "-d", help="Run in the background; return when all serves.")
    ] = False,
    host: Annotated[
        str, typer.Option(help="Address that participants and staff connect to.")
    ] = options.LOOPBACK,
    public_host: Annotated[
        str | None, typer.Option(help="Host name in the URLs that browsers get. Default: --host.")
    ] = None,
    port: Annotated[int, _port("Coordinator.")] = 8080,
    internal_port: Annotated[int, _port("Coordinator, for exam-clients.")] = 8081,
    metrics_port: Annotated[int, _port("Coordinator's metrics and probes.")] = 9090,
    edge_port: Annotated[int, _port("Process edge (loopback).")] = 8234,
    client_ports: Annotated[
        str,
        typer.Option(
            help="Exam-clients; their control ports lie 1000 above.", rich_help_panel=_PORTS
        ),
    ] = "8235-8999",
    postgres_port: Annotated[int | None, _port("PostgreSQL. Default: a free one.")] = None,
    output: OutputOption = Output.TEXT,
) -> None:
    """Run everything on this machine: PostgreSQL, coordinator and exam-clients.

    With DATABASE_URL set, that PostgreSQL is used; else one of its own is run. What an earlier
    [bold]up[/] left running, however it ended, is taken over: an exam never stops for this.
    """
    first, last = options.parse_ports(client_ports)
    options.check_distinct(
        {
            "--port": port,
            "--internal-port": internal_port,
            "--metrics-port": metrics_port,
            "--edge-port": edge_port,
            "--postgres-port": postgres_port,
        }
    )
    wanted = Options(
        home=resolve_home(home),
        host=host,
        public_host=public_host,
        port=port,
        internal_port=internal_port,
        metrics_port=metrics_port,
        edge_port=edge_port,
        first_client_port=first,
        last_client_port=last,
        postgres_port=postgres_port,
        database_url=options.given_database_url(),
    )
    if detach:
        _show_ready(*detaching.run_detached(wanted), output)
    else:
        _run_here(wanted, output)


def down(home: HomeOption = None, output: OutputOption = Output.TEXT) -> None:
    """End everything gracefully: exam-clients first, then coordinator and PostgreSQL.

    No data is touched: an exam that was running goes on with the next [bold]up[/].
    """
    folder = resolve_home(home)
    with console.err.status("ending") as status:
        stopped = stopping.stop_everything(folder, lambda what: status.update(f"ending {what}"))
    if output is Output.JSON:
        console.show_json(
            {
                "up": stopped.up,
                "exam_clients": stopped.clients,
                "coordinator": stopped.coordinator,
                "postgres": stopped.postgres,
                "untransferred": list(stopped.untransferred),
            }
        )
        return
    console.out.print(_summary(folder, stopped))


def _run_here(wanted: Options, output: Output) -> None:
    with console.err.status("starting") as status:

        def step(what: str) -> None:
            status.update(f"starting {what}")

        def ready(runtime: Runtime, link: str) -> None:
            status.stop()
            _show_ready(runtime, link, output)
            if output is Output.TEXT:
                console.out.print("\n[dim]Ctrl-C ends this command; running exams go on.[/]")

        ended = running.run_up(wanted, running.Reports(step, ready))
    if output is Output.TEXT:
        console.out.print(_goodbye(ended))


def _show_ready(runtime: Runtime, link: str, output: Output) -> None:
    if output is Output.JSON:
        shown = runtime.model_dump(mode="json", exclude={"postgres_dsn"})
        console.show_json({**shown, "first_admin_url": link})
        return
    console.out.print(f"[bold green]MedXamion runs[/] in {runtime.home}")
    console.out.print(f"  dashboard     {runtime.coordinator_url}")
    console.out.print(f"  first admin   {link}  [dim](works once)[/]")
    console.out.print(f"  metrics       {runtime.metrics_url}/metrics, {runtime.edge_url}/metrics")
    console.out.print("  next          examctl apply -f examples/delivery.yaml; examctl get")


def _goodbye(ended: running.Ended) -> str:
    if ended.clients_running == 0:
        return "ended; no exam was running"
    clients = _count(ended.clients_running, "exam-client")
    return (
        f"{clients} with coordinator and PostgreSQL go on: exams continue. Nobody restarts them"
        " until the next `examctl up`; `examctl down` ends them"
    )


def _summary(folder: Path, stopped: stopping.Stopped) -> str:
    if not (stopped.up or stopped.clients or stopped.coordinator or stopped.postgres):
        return f"nothing was running in {folder}"
    lines = [f"ended: {_count(stopped.clients, 'exam-client')}, coordinator and PostgreSQL"]
    if stopped.untransferred:
        names = ", ".join(stopped.untransferred)
        lines.append(f"not transferred yet, data kept in {folder}: {names}")
        lines.append("`examctl up` goes on with them where they stand")
    return "\n".join(lines)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
