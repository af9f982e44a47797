"""Receipts as the coordinator signs them; apart from what a pretended exam-client has to import."""

from collections.abc import Callable

from exam_contract.results import Receipt
from exam_contract.trust import RECEIPT_CONTEXT, Signed
from tests.support.authority import Authority


def signer(authority: Authority) -> Callable[[Receipt], Signed]:
    """Signs receipts with the authority's key."""
    return lambda receipt: authority.sign(RECEIPT_CONTEXT, receipt.model_dump(mode="json"))
