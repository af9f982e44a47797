"""ExamDelivery objects as a cluster holds them, and waiting until one is as it should be."""

import copy
import math
import time
from collections.abc import Callable

from pydantic import ValidationError

from exam_contract.delivery import Condition, ConditionType, ExamDelivery
from examctl.errors import ExamctlError, UnreachableError, UnreadableInputError
from examctl.kubectl.cluster import Cluster, Json, Kind

_LOOK_EVERY_SECONDS = 0.5


def parse(raw: Json) -> ExamDelivery:
    """The object; fields that a newer operator added are left out."""
    try:
        return ExamDelivery.model_validate(raw)
    except ValidationError as error:
        unknown = [fault["loc"] for fault in error.errors() if fault["type"] == "extra_forbidden"]
        pruned = copy.deepcopy(raw)
        for place in unknown:
            _remove(pruned, place)
    try:
        return ExamDelivery.model_validate(pruned)
    except ValidationError as error:
        fault = error.errors()[0]
        name = (raw.get("metadata") or {}).get("name", "the object")
        raise UnreadableInputError(
            f"{name}: {'.'.join(map(str, fault['loc']))}: {fault['msg']}",
            "this kubectl-exam is older than the cluster's medxamion; install the same version",
        ) from error


def existing(cluster: Cluster, name: str) -> ExamDelivery:
    """Raises ExamctlError when there is none of that name."""
    raw = cluster.get(Kind.DELIVERY, name)
    if raw is None:
        raise ExamctlError(
            f"there is no ExamDelivery {name} in namespace {cluster.namespace}",
            "`kubectl exam status -A` lists those of every namespace",
        )
    return parse(raw)


def wait(
    cluster: Cluster,
    seen: ExamDelivery,
    done: Callable[[ExamDelivery], bool],
    seconds: float,
    hold_seconds: float = 0,
) -> tuple[ExamDelivery, bool]:
    """Look until it is done or time is up: the object at last, and whether it was done.

    ``hold_seconds``: how long it must stay so. An API server that is away meanwhile is waited for.
    """
    deadline, since = time.monotonic() + seconds, math.inf
    while True:
        late = time.monotonic() > deadline
        try:
            seen = _same(cluster, seen)
        except UnreachableError:
            if late:
                raise
        else:
            since = min(since, time.monotonic()) if done(seen) else math.inf
        if time.monotonic() - since >= hold_seconds:
            return seen, True
        if late:
            return seen, False
        time.sleep(_LOOK_EVERY_SECONDS)


def condition(stored: ExamDelivery, type_: ConditionType) -> Condition | None:
    """The condition of that type, if it was ever told."""
    return next((one for one in stored.status.conditions if one.type == type_), None)


def is_true(stored: ExamDelivery, type_: ConditionType) -> bool:
    found = condition(stored, type_)
    return found is not None and found.status == "True"


def _same(cluster: Cluster, seen: ExamDelivery) -> ExamDelivery:
    found = existing(cluster, seen.metadata.name)
    if found.metadata.uid != seen.metadata.uid:
        raise ExamctlError(f"{seen.metadata.name} was deleted and made anew meanwhile")
    return found


def _remove(document: Json, place: tuple[int | str, ...]) -> None:
    inner = document
    for step in place[:-1]:
        inner = inner[step]  # type: ignore[index]
    inner.pop(place[-1], None)  # type: ignore[arg-type]
