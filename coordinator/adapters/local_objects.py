"""ExamDelivery objects through the process edge's loopback API: one machine, no Kubernetes."""

from pathlib import Path
from typing import Any

import httpx
from pydantic import ValidationError

from coordinator.adapters.objects_api import Door
from coordinator.errors import ClientRefused, Conflict, NotFound, NotReady, Refused, RuleViolated
from exam_contract.problems import Problem, ProblemCode


def local_door(base_url: str, token_file: Path) -> Door:
    """What ``examctl up`` serves."""
    return Door(
        base_url=base_url,
        token_file=token_file,
        ca_file=None,
        away="the object API does not answer; is `examctl up` running?",
        refusal=_refusal,
    )


def _refusal(reply: httpx.Response) -> Refused:
    try:
        problem = Problem.model_validate_json(reply.content)
    except ValidationError:
        return NotReady(f"the object API answered with status {reply.status_code}")
    detail = problem.detail or problem.title
    members: dict[str, Any] = {} if problem.errors is None else {"errors": problem.errors}
    match problem.code:
        case ProblemCode.RULE_VIOLATED:
            return RuleViolated(detail, **members)
        case ProblemCode.CONFLICT:
            return Conflict(detail)
        case ProblemCode.NOT_FOUND:
            return NotFound("the delivery's object does not exist any more")
        case _ if reply.status_code in (401, 403) or reply.status_code >= 500:
            return NotReady(f"the object API says: {detail}")
        case _:
            return ClientRefused(problem.code, detail, **members)
