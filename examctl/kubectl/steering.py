"""``fence``, ``unfence`` and ``restart``: asked for by annotation, carried out by the operator.

Each waits until the object says that it was done, so that a script may rely on exit code 0. What
was asked stays asked: a wait that ends too early takes nothing back.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated

import typer

from exam_contract.base import rfc3339
from exam_contract.delivery import (
    END_PHASES,
    FENCE_ANNOTATION,
    RESTART_ANNOTATION,
    ExamDelivery,
    Phase,
)
from examctl import console
from examctl.console import Output, OutputOption
from examctl.errors import RefusedError, UnreachableError
from examctl.kubectl import deliveries
from examctl.kubectl.advice import advice, fence_asked
from examctl.kubectl.cluster import Cluster, Kind
from examctl.kubectl.deliveries import condition, is_true
from examctl.kubectl.options import ContextOption, KubeconfigOption, NameArgument, NamespaceOption

TimeoutOption = Annotated[
    float,
    typer.Option(
        "--timeout",
        min=0,
        max=3600,
        help="Seconds to wait until it is carried out; 0 only asks. What was asked stays asked.",
    ),
]
HOLD_SECONDS = 5.0
"""A condition that is there before the request may be that of the opposite request before it."""


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (fence, unfence, restart):
        app.command(command.__name__)(command)


def fence(
    name: NameArgument,
    timeout: TimeoutOption = 60,
    namespace: NamespaceOption = None,
    kubeconfig: KubeconfigOption = None,
    context: ContextOption = None,
    output: OutputOption = Output.TEXT,
) -> None:
    """Stop the exam-client from accepting answers; it stays up and keeps everything it has.

    For when a second writer is suspected, or before a volume is looked at. Participants are told
    that answers can't be saved now. Time goes on: pause the exam at the coordinator, or grant time
    afterwards. Waits until the exam-client itself confirms.
    """
    cluster = Cluster.connect(kubeconfig, context, namespace)
    before = _open_to_requests(cluster, name)
    cluster.annotate(Kind.DELIVERY, name, {FENCE_ANNOTATION: "true"})
    hold = 0 if fence_asked(before) else HOLD_SECONDS
    stored = _carried_out(cluster, before, _fenced, "the fence is asked for", timeout, hold)
    _show_fence("fence", stored, output, asked=True)


def unfence(
    name: NameArgument,
    timeout: TimeoutOption = 60,
    namespace: NamespaceOption = None,
    kubeconfig: KubeconfigOption = None,
    context: ContextOption = None,
    output: OutputOption = Output.TEXT,
) -> None:
    """Let a fenced exam-client accept answers again. Waits until it does."""
    cluster = Cluster.connect(kubeconfig, context, namespace)
    before = _open_to_requests(cluster, name)
    cluster.annotate(Kind.DELIVERY, name, {FENCE_ANNOTATION: None})
    hold = HOLD_SECONDS if fence_asked(before) else 0
    stored = _carried_out(cluster, before, _unfenced, "the fence is taken away", timeout, hold)
    _show_fence("unfence", stored, output, asked=False)


def restart(
    name: NameArgument,
    timeout: TimeoutOption = 180,
    namespace: NamespaceOption = None,
    kubeconfig: KubeconfigOption = None,
    context: ContextOption = None,
    output: OutputOption = Output.TEXT,
) -> None:
    """Start the exam-client anew from its file, with a new epoch.

    It is asked to end, saves what it has, and its successor continues: same attempts, same
    deadlines. Participants wait some seconds. One that hangs is killed only once that is proven; a
    pod on a lost node is never forced away. Waits until the successor answers.
    """
    cluster = Cluster.connect(kubeconfig, context, namespace)
    before = _open_to_requests(cluster, name)
    asked = rfc3339(datetime.now(UTC))
    cluster.annotate(Kind.DELIVERY, name, {RESTART_ANNOTATION: asked})

    def answers_again(seen: ExamDelivery) -> bool:
        done = seen.status.restarts.last_requested_at == asked
        back = seen.status.phase is not Phase.RECOVERING and is_true(seen, "ClientHealthy")
        return done and back

    told = f"a restart is asked for ({asked})"
    stored = _carried_out(cluster, before, answers_again, told, timeout)
    _show_restart(before, stored, asked, output)


def _open_to_requests(cluster: Cluster, name: str) -> ExamDelivery:
    """The delivery, if the operator will carry out what is asked of it. Raises RefusedError."""
    stored = deliveries.existing(cluster, name)
    if stored.status.phase in END_PHASES:
        raise RefusedError(
            f"{name} is {stored.status.phase}: there is no exam-client any more",
            "`kubectl exam status` lists those that are under way",
        )
    if stored.spec.paused:
        raise RefusedError(
            f"spec.paused of {name} is true: the operator would not carry it out now, but later",
            "set spec.paused to false first",
        )
    return stored


def _carried_out(
    cluster: Cluster,
    before: ExamDelivery,
    done: Callable[[ExamDelivery], bool],
    asked: str,
    seconds: float,
    hold: float = 0,
) -> ExamDelivery:
    if seconds == 0:
        return before
    hold = hold if done(before) else 0
    stored, finished = deliveries.wait(cluster, before, done, seconds, hold)
    if finished:
        return stored
    raise UnreachableError(
        f"{asked}, but was not carried out within {seconds:g} s{_why(stored)}",
        f"it stays asked; look again with `kubectl exam status {stored.metadata.name}"
        f" -n {stored.metadata.namespace}`, and whether the operator runs",
    )


def _why(stored: ExamDelivery) -> str:
    """What stands in the way, as far as the object tells."""
    found = [f"{one.trouble}: {one.told}" for one in advice(stored)]
    return f" ({'; '.join(found)})" if found else f" (phase {stored.status.phase})"


def _fenced(stored: ExamDelivery) -> bool:
    return is_true(stored, "WriterFenced")


def _unfenced(stored: ExamDelivery) -> bool:
    found = condition(stored, "WriterFenced")
    return found is not None and found.status == "False"


def _show_fence(verb: str, stored: ExamDelivery, output: Output, *, asked: bool) -> None:
    fenced, name = _fenced(stored), stored.metadata.name
    confirmed = fenced is asked
    if output is Output.JSON:
        shown = {"name": name, "action": verb, "confirmed": confirmed, "fenced": fenced}
        console.show_json({**shown, "epoch": stored.status.epoch})
    elif not confirmed:
        console.out.print(f"{name}: {verb} is asked for; nothing was waited for.", markup=False)
    elif fenced:
        console.out.print(f"{name} is fenced: it accepts no answer and stays up.", markup=False)
    else:
        console.out.print(f"{name} accepts answers again.", markup=False)


def _show_restart(before: ExamDelivery, after: ExamDelivery, asked: str, output: Output) -> None:
    restarts, name = after.status.restarts, after.metadata.name
    done = restarts.last_requested_at == asked
    if output is Output.JSON:
        shown = {"name": name, "action": "restart", "requested_at": asked, "confirmed": done}
        epochs = {"epoch_before": before.status.epoch, "epoch": after.status.epoch}
        more = {"restarts": restarts.count, "recovery_seconds": restarts.last_recovery_seconds}
        console.show_json({**shown, **epochs, **more, "phase": after.status.phase})
    elif done:
        told = f"{name} was restarted: epoch {before.status.epoch} -> {after.status.epoch}"
        seconds = restarts.last_recovery_seconds
        took = f", back after {seconds} s" if seconds else ""
        console.out.print(f"{told}, phase {after.status.phase}{took}.", markup=False)
    else:
        console.out.print(f"{name}: a restart is asked for; nothing was waited for.", markup=False)
