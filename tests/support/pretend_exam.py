"""An exam-client's behaviour towards the operator, without an exam: what ``/status`` would say.

The same behaviour stands behind the simulated world and behind a real, tiny process.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import get_args

from pydantic import BaseModel

from exam_contract.canonical import digest
from exam_contract.control import (
    ClientStatus,
    ContentStatus,
    Counts,
    Desired,
    Mode,
    StorageStatus,
    TransferStatus,
)
from exam_contract.results import Receipt, Table, TableSummary
from exam_contract.trust import Signed

_EMPTY: dict[Table, TableSummary] = {
    name: TableSummary(count=0, merkle_root=digest([])) for name in get_args(Table)
}
CONTENT_DIGEST = digest("the exam")
ENROLLED = 3


class File(BaseModel):
    """What lies on the volume."""

    incarnation: int = 0
    generation: int = 0
    mode: Mode = Mode.PREPARE
    fenced: bool = False
    aborted: bool = False
    started: int = 0
    open: int = 0
    closed: int = 0
    transfer: str = "none"
    manifest: str | None = None
    receipt: Signed | None = None


@dataclass
class PretendExam:
    """One running exam-client on one file."""

    delivery_id: int
    uid: str
    epoch: int
    file: File
    content_ready: bool = True
    storage: str = "ok"

    def open_file(self) -> None:
        self.file.incarnation += 1

    def obey(self, desired: Desired) -> str | None:
        """Returns a problem code when it is refused, as the protocol says."""
        if desired.generation < self.file.generation:
            return "stale_generation"
        if self.file.receipt is not None and desired.mode in (Mode.PREPARE, Mode.RUN):
            return "receipt_held"
        if self.file.mode in (Mode.FINALISE, Mode.TRANSFER) and desired.mode is Mode.RUN:
            self.file.transfer, self.file.manifest = "none", None
        self.file.generation, self.file.mode = desired.generation, desired.mode
        self.file.fenced, self.file.aborted = desired.fenced, desired.aborted
        return None

    def work(self, sign: Callable[[Receipt], Signed] | None) -> None:
        """One step towards what is desired; without ``sign`` the coordinator is away."""
        match self.file.mode:
            case Mode.FINALISE:
                self._freeze()
            case Mode.TRANSFER:
                self._freeze()
                self._transfer(sign)
            case Mode.ERASE if self.file.receipt is not None:
                self.file.transfer, self.storage = "erased", "erased"
                self.content_ready = False
            case _:
                pass

    def status(self, now: datetime) -> ClientStatus:
        file = self.file
        return ClientStatus(
            delivery_id=self.delivery_id,
            delivery_uid=self.uid,
            epoch=self.epoch,
            incarnation=file.incarnation,
            generation=file.generation,
            mode=file.mode,
            ready=self.content_ready and self.storage == "ok" and not file.fenced,
            fenced=file.fenced,
            content=ContentStatus(ready=self.content_ready, content_digest=CONTENT_DIGEST),
            storage=StorageStatus(state=self.storage),
            counts=Counts(
                enrolled=ENROLLED, started=file.started, open=file.open, closed=file.closed
            ),
            transfer=TransferStatus(
                state=file.transfer, manifest_digest=file.manifest, receipt=file.receipt
            ),
            all_sat=file.closed == ENROLLED,
            reported_at=now,
        )

    def begin_attempt(self) -> None:
        if self.file.mode is Mode.RUN and self.file.started < ENROLLED:
            self.file.started += 1
            self.file.open += 1

    def close_attempt(self) -> None:
        if self.file.open:
            self.file.open -= 1
            self.file.closed += 1

    def _freeze(self) -> None:
        self.file.closed += self.file.open
        self.file.open = 0
        if self.file.transfer == "none":
            self.file.transfer = "frozen"

    def _transfer(self, sign: Callable[[Receipt], Signed] | None) -> None:
        if self.file.manifest is None:
            self.file.transfer = "sealed"
            self.file.manifest = digest([self.uid, self.file.incarnation, self.file.closed])
        elif sign is not None and self.file.receipt is None:
            self.file.receipt = sign(self.receipt())
            self.file.transfer = "receipted"

    def receipt(self) -> Receipt:
        """What an honest coordinator would say of the sealed manifest."""
        return Receipt(
            receipt_id=f"receipt-{self.delivery_id}",
            delivery_id=self.delivery_id,
            delivery_uid=self.uid,
            manifest_digest=self.file.manifest or digest(None),
            tables=_EMPTY,
            last_seq=0,
            stored_at=datetime.fromisoformat("2026-01-15T12:00:00+00:00"),
        )
