"""The demo's summary on the terminal."""

from typing import Any

from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.table import Table

_WIDTH = 40


def show_summary(report: dict[str, Any], console: Console) -> None:
    """The verdict first, then how it came about."""
    good = report["ok"]
    word = "[bold green]Everything holds[/]" if good else "[bold red]Something does not hold[/]"
    parts: list[RenderableType] = [_figures(report), "", _crashes(report), ""]
    parts += [_latencies(report), "", _scores(report)]
    if not good:
        parts += ["", _flaws(report)]
    console.print(Panel(Group(*parts), title=word, border_style="green" if good else "red"))


def _figures(report: dict[str, Any]) -> Table:
    table = Table(box=None, show_header=False, padding=(0, 2))
    rows = (
        ("exam", f"{report['exam']['title']}, {report['exam']['items']} items"),
        ("participants", f"{report['participants']}, {report['completed']} submitted"),
        ("answers acknowledged", f"{report['acknowledged']:,}"),
        ("stored", f"{report['stored']:,} ({report['revisions']:,} revisions)"),
        ("lost", str(report["lost"])),
        ("duplicated", str(report["duplicated"])),
        ("reconnects", f"{report['reconnects']}, {report['device_changes']} device changes"),
        ("outcome unknown", f"{report['indeterminate']}, settled by {report['resends']} resends"),
        ("receipt", "verified" if report["receipt_verified"] else "NOT verified"),
        ("audit chains", "verified" if report["audit_verified"] else "NOT verified"),
        ("phase", report["phase"]),
    )
    for label, value in rows:
        style = "bold red" if label in ("lost", "duplicated") and value != "0" else ""
        table.add_row(label, value, style=style)
    return table


def _crashes(report: dict[str, Any]) -> Table:
    table = Table(title="crashes", title_justify="left", box=None, padding=(0, 2))
    table.add_column("what")
    table.add_column("in flight", justify="right")
    table.add_column("back after", justify="right")
    healed = report["recovery_seconds"]
    for number, inflight in enumerate(report["inflight_at_kill"]):
        after = f"{healed[number]:.2f} s" if number < len(healed) else "never"
        table.add_row("exam-client", f"{inflight} answers", after)
    for seconds in report["coordinator_recovery_seconds"]:
        table.add_row("coordinator", "sign-ins", f"{seconds:.2f} s")
    return table


def _latencies(report: dict[str, Any]) -> str:
    found = report["latency"]
    return (
        f"answer latency: p50 {found['p50_ms']:.1f} ms, p90 {found['p90_ms']:.1f},"
        f" p99 {found['p99_ms']:.1f}, max {found['max_ms']:.1f}"
    )


def _scores(report: dict[str, Any]) -> Table:
    table = Table(title="final scores", title_justify="left", box=None, padding=(0, 2))
    table.add_column("percent", justify="right")
    table.add_column("participants", justify="right")
    table.add_column("")
    most = max(report["score_bins"].values(), default=0) or 1
    for label, count in _occupied(report["score_bins"]):
        table.add_row(label, str(count), "█" * round(_WIDTH * count / most))
    return table


def _occupied(bins: dict[str, int]) -> list[tuple[str, int]]:
    """The bins from the first to the last that somebody is in."""
    taken = [number for number, count in enumerate(bins.values()) if count]
    return list(bins.items())[taken[0] : taken[-1] + 1] if taken else []


def _flaws(report: dict[str, Any]) -> Table:
    table = Table(title="what does not hold", title_justify="left", box=None, padding=(0, 2))
    table.add_column("check")
    table.add_column("found")
    for check in report["checks"]:
        if not check["holds"]:
            shown = "\n".join(flaw.replace("[", r"\[") for flaw in check["flaws"])
            table.add_row(f"{check['name'].replace('_', ' ')} ({check['count']})", shown)
    for reason, count in report["gave_up"].items():
        table.add_row("could not finish", f"{count}: {reason}")
    return table
