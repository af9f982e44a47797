"""``python -m exam_operator.uninstall_guard NAMESPACE...``: may the operator be taken away?

`helm uninstall` asks before it removes anything. Whatever still needs the operator is listed in
words and ends with 3: without the operator that data would stay where it is, and its finalizers
would hold every deletion for ever. 0: nothing is left. 1: the API server could not be asked.
"""

import argparse
import ssl
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
from pydantic import ValidationError

from exam_contract.delivery import (
    DISCARD_ANNOTATION,
    FINALIZER,
    GROUP,
    PLURAL,
    VERSION,
    ExamDelivery,
)
from exam_contract.delivery_rules import delete_allowed, effective_phase
from exam_operator.core.names import DELIVERY_LABEL, SELECTOR

FREE, UNKNOWN, REFUSED = 0, 1, 3
_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_PAGE = 200


class Unanswered(Exception):
    """The API server gave no answer that could be used."""


def main(arguments: Sequence[str]) -> int:
    """The exit code."""
    words = _words(arguments)
    try:
        with _connection() as api:
            code = judge(api, words.namespaces)
    except (OSError, httpx.HTTPError, Unanswered) as error:
        sys.stderr.write(f"the deliveries can't be looked at, so nothing is removed: {error}\n")
        code = UNKNOWN
    if code != FREE and words.mend:
        # Helm marks a release before it asks, and upgrades none that is marked so.
        sys.stderr.write(f"the release goes on as it was; before its next upgrade: {words.mend}\n")
    return code


def judge(api: httpx.Client, namespaces: Sequence[str]) -> int:
    """FREE or REFUSED, and the reasons on stderr. Raises HTTPError or Unanswered."""
    reasons = [reason for name in namespaces for reason in reasons_against(api, name)]
    if not reasons:
        sys.stdout.write("no delivery needs the operator any more\n")
        return FREE
    sys.stderr.write("uninstall refused; these still need the operator:\n")
    for reason in reasons:
        sys.stderr.write(f"- {reason}\n")
    return REFUSED


def reasons_against(api: httpx.Client, namespace: str) -> Iterator[str]:
    """What in the namespace still needs the operator, and what to do about each."""
    if _get(api, f"/api/v1/namespaces/{namespace}", {}) is None:
        return
    claims = f"/api/v1/namespaces/{namespace}/persistentvolumeclaims"
    volumes = {
        claim["metadata"]["labels"].get(DELIVERY_LABEL): claim["metadata"]["name"]
        for claim in _items(api, claims, {"labelSelector": SELECTOR})
        if FINALIZER in claim["metadata"].get("finalizers", [])
    }
    served = f"/apis/{GROUP}/{VERSION}/namespaces/{namespace}/{PLURAL}"
    for document in _items(api, served, {}):
        metadata = document["metadata"]
        has_volume = volumes.pop(metadata["uid"], None) is not None
        is_held = has_volume or FINALIZER in metadata.get("finalizers", [])
        reason = _delivery_reason(document, is_held)
        if reason is not None:
            yield f"{namespace}/{metadata['name']}: {reason}"
    for volume in volumes.values():
        yield (
            f"{namespace}/{volume}: this volume holds untransferred data and its ExamDelivery is"
            f" gone; to give the data up, remove the finalizer {FINALIZER}"
        )


def _delivery_reason(document: dict[str, Any], is_held: bool) -> str | None:
    metadata = document["metadata"]
    try:
        stored = ExamDelivery.model_validate(document)
    except ValidationError:
        return "this operator can't read it; use the operator's version that made it"
    phase = effective_phase(stored)
    if not delete_allowed(stored, metadata.get("annotations", {}).get(DISCARD_ANNOTATION)):
        return (
            f"phase {phase}, {stored.status.counts.started} attempts, and the data was not"
            " transferred; let it finish (phase Validated)"
        )
    if is_held:
        return (
            f"phase {phase}, and the operator still holds its volume; delete it"
            f" (kubectl -n {stored.metadata.namespace} delete exd {stored.metadata.name})"
            " and try again when it is gone"
        )
    return None


def _items(api: httpx.Client, path: str, query: dict[str, str]) -> Iterator[dict[str, Any]]:
    following = {**query, "limit": str(_PAGE)}
    while True:
        page = _get(api, path, following)
        if page is None:
            return
        # A list leaves out what is the same for all its items.
        shared = {"apiVersion": page["apiVersion"], "kind": page["kind"].removesuffix("List")}
        for item in page["items"]:
            yield {**shared, **item}
        token = page["metadata"].get("continue")
        if not token:
            return
        following = {**following, "continue": token}


def _get(api: httpx.Client, path: str, query: dict[str, str]) -> dict[str, Any] | None:
    """The document, or None where there is no such thing."""
    reply = api.get(path, params=query)
    if reply.status_code == httpx.codes.NOT_FOUND:
        return None
    if reply.status_code != httpx.codes.OK:
        raise Unanswered(f"GET {path} answered {reply.status_code}: {reply.text[:300]}")
    document: dict[str, Any] = reply.json()
    return document


def _words(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="exam_operator.uninstall_guard")
    parser.add_argument("namespaces", nargs="+", help="where deliveries are looked after")
    parser.add_argument("--mend", default="", help="what makes the refused release whole again")
    return parser.parse_args(arguments)


def _connection() -> httpx.Client:
    return httpx.Client(
        base_url="https://kubernetes.default.svc",
        headers={"Authorization": f"Bearer {(_ACCOUNT / 'token').read_text().strip()}"},
        verify=ssl.create_default_context(cafile=_ACCOUNT / "ca.crt"),
        timeout=20,
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
