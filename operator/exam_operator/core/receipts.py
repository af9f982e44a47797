"""Is this the receipt for this delivery's manifest? The comparison behind DataValidated.

The signature is checked by an adapter; what a validly signed receipt *says* is checked here. The
operator does this on its own: it does not take the exam-client's word.
"""

from exam_contract.control import ClientStatus
from exam_contract.delivery import ExamDelivery
from exam_contract.results import TABLES, Receipt
from exam_operator.core.world import Observed


def receipt_problem(
    stored: ExamDelivery, delivery_id: int | None, client: ClientStatus, receipt: Receipt
) -> str | None:
    """Why the receipt does not cover what the exam-client sealed; None when it does."""
    if receipt.delivery_uid != stored.metadata.uid or receipt.delivery_id != delivery_id:
        return "the receipt is for another delivery"
    if client.transfer.manifest_digest is None:
        return "the exam-client has not sealed a manifest"
    if receipt.manifest_digest != client.transfer.manifest_digest:
        return "the receipt names another manifest than the exam-client sealed"
    if set(receipt.tables) != set(TABLES):
        return "the receipt does not cover every table"
    if receipt.last_seq < 0:
        return "the receipt has no last event"
    return None


def verified_receipt(observed: Observed) -> Receipt | None:
    """The receipt, once its signature and its content were both checked; else None."""
    problem, receipt = _judge(observed)
    return receipt if problem is None else None


def receipt_rejection(observed: Observed) -> str | None:
    """In words, why a receipt that the exam-client shows is not believed."""
    return _judge(observed)[0]


def _judge(observed: Observed) -> tuple[str | None, Receipt | None]:
    check, client = observed.receipt, observed.client
    if check is None or client is None or client.transfer.receipt is None:
        return None, None
    if check.problem is not None or check.receipt is None:
        return check.problem or "the receipt can't be read", None
    delivery_id = observed.object.status.delivery_id
    return receipt_problem(observed.object, delivery_id, client, check.receipt), check.receipt
