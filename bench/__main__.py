"""``python -m bench``: run the measurements and print what they found beside what is promised.

Machines are noisy, so what is compared (with and without the commit) is measured in turns within
one run. A missed target is shown and is no error; a measurement that cannot be trusted is one.
"""

import argparse
import json
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from bench import answers, operator_scale, outages, system
from bench.machine import BenchError, Cores, cores
from bench.report import Measure, show, spoken

Runner = Callable[[Cores, argparse.Namespace], list[Measure]]
PARTS: dict[str, tuple[str, Runner]] = {
    "answers": ("durable answers/s, their latency, and the price of the commit", answers.run),
    "recovery": ("SIGKILL of an exam-client to its first accepted answer", outages.recovery),
    "live": ("live progress, WebSocket and outbox at 200 participants; memory", system.live),
    "survival": ("`examctl up` killed mid-exam and started again", outages.survival),
}
CLUSTER_PARTS: dict[str, tuple[str, Runner]] = {
    "operator": ("the operator at scale, over a real API server", operator_scale.run),
}
"""Need the binaries of the single-node cluster; ``make bench-cluster``."""


def main(arguments: list[str] | None = None) -> int:
    # Told to end, it still ends what it started.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    options = _parser().parse_args(arguments)
    found: list[Measure] = []
    try:
        pinned = cores()
        for name in options.only or PARTS:
            words, run = (PARTS | CLUSTER_PARTS)[name]
            print(f"\n{name}: {words}", flush=True)
            begun = time.monotonic()
            measures = run(pinned, options)
            show(measures)
            print(f"({time.monotonic() - begun:.0f} s)", flush=True)
            found += measures
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    finally:
        if options.json is not None:
            body = {"measures": [spoken(measure) for measure in found]}
            options.json.write_text(json.dumps(body, indent=2) + "\n", encoding="utf-8")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="bench",
        description=__doc__,
        epilog="Parts: " + "; ".join(f"{name} ({words})" for name, (words, _) in PARTS.items()),
    )
    parser.add_argument(
        "--only",
        action="append",
        choices=[*PARTS, *CLUSTER_PARTS],
        help="this part; may be given again",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too")
    parser.add_argument(
        "--seconds", type=int, default=4, help="how long each load lasts (default 4)"
    )
    parser.add_argument("--turns", type=int, default=3, help="turns of each load (default 3)")
    parser.add_argument("--kills", type=int, default=50, help="kills of `examctl up` (default 50)")
    _add_sizes(parser)
    return parser


def _add_sizes(parser: argparse.ArgumentParser) -> None:
    """Of the operator's load; what is promised is promised at these defaults."""
    sizes = parser.add_argument_group("operator")
    for name, default, words in (
        ("burst", 500, "deliveries posted at once"),
        ("live", 1500, "deliveries that run beside each other"),
        ("rate", 50, "deliveries a second in the stream"),
        ("stream-seconds", 60, "how long the stream lasts"),
        ("steady-seconds", 60, "how long the live ones are watched"),
    ):
        sizes.add_argument(
            f"--{name}", type=int, default=default, help=f"{words} (default {default})"
        )


if __name__ == "__main__":
    sys.exit(main())
