"""``make demo-cluster``: the demo's scenario on a real cluster.

The chart is installed, the example delivery applied, a crowd sits it through the NodePort, the
exam-client's pod is deleted in the middle, and what PostgreSQL holds is verified from outside.
"""

import argparse
import asyncio
import json
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from exam_contract.delivery import ExamDelivery, Phase
from examctl import console
from examctl.commands.simulate import draw_progress
from examctl.demonstration.report import Course, Drill, make_report
from examctl.demonstration.show import show_summary
from examctl.simulation.sitting import Behaviour
from examctl.simulation.tally import Tally
from tests.support.cluster import exam_day, installation, kubectl, objects, script
from tests.support.cluster.api import Api
from tests.support.cluster.exam_day import ExamDay
from tests.support.cluster.installation import DELIVERY_NAMESPACES, Installation

NAME = "demo"
_DELETE_AT = 0.4
"""Share of the expected answers after which the pod is deleted."""
_RECOVERY_SECONDS = 90.0


def main(arguments: list[str]) -> int:
    """The exit code: 0 only when nothing is lost or doubled and everything verifies."""
    wanted = _parser().parse_args(arguments)
    try:
        _say(
            "bringing up a cluster, building images, installing the chart (minutes, the first time)"
        )
        script.bring_up()
        script.bring_images()
        with kubectl.proxied() as url:
            found = _perform(Api(url), wanted.participants)
    except (script.ClusterMissing, kubectl.Refused) as error:
        console.err.print(str(error), markup=False)
        return 1
    if wanted.report is not None:
        wanted.report.write_text(json.dumps(found, indent=2, ensure_ascii=False) + "\n")
    show_summary(found, console.out)
    if sys.stdout.isatty() and not wanted.exit:
        _stay()
    return 0 if found["ok"] else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make demo-cluster", description=__doc__)
    parser.add_argument("--participants", "-n", type=int, default=60)
    parser.add_argument("--report", type=Path, help="write the report (JSON) here")
    parser.add_argument("--exit", action="store_true", help="end when done, also on a terminal")
    return parser


def _perform(api: Api, participants: int) -> dict[str, Any]:
    began = time.monotonic()
    installed = installation.install(api)
    seconds = {"install": round(time.monotonic() - began, 2)}
    namespace = DELIVERY_NAMESPACES[0]
    objects.discard_all(api, [namespace])
    with tempfile.TemporaryDirectory(prefix="medxamion-demo-") as folder:
        _say("importing the exam and the roster, applying the delivery")
        day = _assign(api, installed, namespace, participants, Path(folder), seconds)
        _say(f"{participants} participants sit the exam at {_address(day)}")
        drill = _sit(day, seconds)
        _say("closing, transferring, cleaning up")
        began = time.monotonic()
        ended = day.delivery.wait_phase(Phase.CLEANED_UP, seconds=180)
        seconds["transfer"] = round(time.monotonic() - began, 2)
        _say("verifying what PostgreSQL holds")
        course = _course(day, ended, seconds)
        return make_report(course, day.tally, drill, day.verdict(), 1, None)


def _assign(
    api: Api,
    installed: Installation,
    namespace: str,
    participants: int,
    folder: Path,
    seconds: dict[str, float],
) -> ExamDay:
    imported = exam_day.bring_exam(installed, folder, name=NAME, participants=participants)
    began = time.monotonic()
    delivery = objects.apply_example(
        api,
        namespace,
        NAME,
        exam=imported.exam,
        roster=imported.roster,
        participants=participants,
    )
    delivery.wait_phase(Phase.RUNNING)
    seconds["assign"] = round(time.monotonic() - began, 2)
    return ExamDay(installed, delivery, imported, folder / "ledger.jsonl")


def _sit(day: ExamDay, seconds: dict[str, float]) -> Drill:
    """The crowd sits; its exam-client's pod is deleted once, and comes back."""
    drill = Drill()
    expected = day.tally.participants * len(day.imported.document.exam.items)

    async def meanwhile(tally: Tally) -> None:
        async with asyncio.TaskGroup() as tasks:
            bar = tasks.create_task(draw_progress(tally))
            await tally.until(lambda: tally.acknowledged >= expected * _DELETE_AT)
            await _delete_pod(day, drill)
            await tally.until(lambda: tally.finished >= tally.participants)
            bar.cancel()

    began = time.monotonic()
    day.sit(
        Behaviour(think_seconds=0.25, arrival_seconds=6, patience_seconds=300), meanwhile=meanwhile
    )
    seconds["sitting"] = round(time.monotonic() - began, 2)
    return drill


async def _delete_pod(day: ExamDay, drill: Drill) -> None:
    tally, delivery = day.tally, day.delivery
    loop = asyncio.get_running_loop()
    began = loop.time()
    drill.inflight_at_kill.append(tally.in_flight)
    before = await asyncio.to_thread(lambda: delivery.pod()["metadata"]["uid"])
    name, namespace = await asyncio.to_thread(lambda: delivery.children), delivery.namespace
    await asyncio.to_thread(delivery.api.delete, "pods", name, namespace)
    await asyncio.to_thread(_wait_successor, day, before)
    async with asyncio.timeout(_RECOVERY_SECONDS):
        received = await tally.first_accepted(sent_after=loop.time())
    drill.recovery_seconds.append(round(received - began, 3))


def _wait_successor(day: ExamDay, before: str) -> None:
    day.delivery.api.wait(
        "pods",
        day.delivery.children,
        day.delivery.namespace,
        lambda pod: pod["metadata"]["uid"] != before,
        seconds=_RECOVERY_SECONDS,
        what="the successor of the deleted pod",
    )


def _course(day: ExamDay, ended: ExamDelivery, seconds: dict[str, float]) -> Course:
    exam, number = day.imported.document.exam, ended.status.delivery_id or 0
    with day.installation.coordinator() as coordinator:
        found = coordinator.get(f"/api/deliveries/{number}/results/histogram")
    return Course(
        exam.id,
        exam.title,
        len(exam.items),
        number,
        str(ended.status.phase),
        erased=any(
            c.type == "CleanupComplete" and c.status == "True" for c in ended.status.conditions
        ),
        seconds=seconds,
        score_bins={f"{one['from']}-{one['to']}": int(one["count"]) for one in found["bins"]},
    )


def _stay() -> None:
    console.out.print(
        "\nThe cluster stays up: `make cluster-down` takes it away. Ctrl-C ends this."
    )
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        console.err.print("[dim]ending[/]")


def _address(day: ExamDay) -> str | None:
    return day.delivery.read().status.endpoint.public


def _say(step: str) -> None:
    console.err.print(f"[dim]{step}[/]")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
