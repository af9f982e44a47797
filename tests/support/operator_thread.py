"""The real operator of a cluster, in a thread with a loop of its own.

kopf ends every task of its loop when it stops; apart from the test's loop it ends only its own.
"""

import asyncio
import threading
from datetime import timedelta

from exam_contract.delivery import Phase
from exam_operator.cluster.service import ClusterOperator, Now, cluster_operator
from exam_operator.core.pacing import Pace
from exam_operator.settings import ClusterSettings
from tests.support.waiting import PATIENCE_SECONDS

FAST = Pace(
    poll_seconds=dict.fromkeys(Phase, 0.05),
    recovering_seconds=0.03,
    heartbeat=timedelta(seconds=5),
)


class OperatorThread:
    """``failure``: what ended it beside ``stop``."""

    def __init__(self, settings: ClusterSettings, now: Now, pace: Pace = FAST) -> None:
        self.settings, self.now, self.pace = settings, now, pace
        self.operator: ClusterOperator | None = None
        self.failure: BaseException | None = None
        self.ended = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop = asyncio.Event()
        self._up = threading.Event()
        self._thread = threading.Thread(target=self._main, daemon=True)

    def start(self) -> "OperatorThread":
        self._thread.start()
        assert self._up.wait(PATIENCE_SECONDS), "the operator did not start"
        return self

    def stop(self) -> None:
        """In the middle of whatever it does."""
        if self._loop is not None and not self.ended.is_set():
            self._loop.call_soon_threadsafe(self._stop.set)
        assert self.ended.wait(PATIENCE_SECONDS), "the operator did not end"
        self._thread.join(PATIENCE_SECONDS)

    def nudge(self) -> None:
        """A look at everything now, as the sweep does every minute."""
        loop, operator = self._loop, self.operator
        assert loop is not None
        assert operator is not None

        def sweep() -> None:
            for key in operator.edge.all_keys():
                operator.reconciler.enqueue(key)

        loop.call_soon_threadsafe(sweep)

    def tidy(self, namespace: str) -> None:
        """As it does every few minutes."""
        assert self._loop is not None
        assert self.operator is not None
        done = asyncio.run_coroutine_threadsafe(self.operator.tidy(namespace), self._loop)
        done.result(30)

    def _main(self) -> None:
        try:
            asyncio.run(self._run())
        except BaseException as error:  # noqa: BLE001 - a thread's end is looked at by the test
            self.failure = error
        finally:
            self._up.set()
            self.ended.set()

    async def _run(self) -> None:
        self._loop = asyncio.get_running_loop()
        async with cluster_operator(self.settings, now=self.now, pace=self.pace) as operator:
            self.operator = operator
            self._up.set()
            await operator.run(self._stop)
