"""``python -m bench.uncommitted``: the exam-client with its COMMIT taken out, to price durability.

Everything else is the service's own: the same decisions, statements, checks and replies. After the
bundle is stored one transaction is left open for ever, so nothing is synced. It exists only here:
the service has no such switch.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from exam_client import __main__ as service
from exam_client.store import database

_durable = database.transaction
FIRST_COMMITS = 8
"""Opening, assignment and the like are committed as ever."""


class _Counter:
    def __init__(self) -> None:
        self.commits = 0


_seen = _Counter()


@contextmanager
def _transaction(connection: database.Connection) -> Iterator[database.Connection]:
    _seen.commits += 1
    if _seen.commits <= FIRST_COMMITS:
        with _durable(connection) as open_connection:
            yield open_connection
        return
    if not connection.in_transaction:
        connection.execute("BEGIN IMMEDIATE")
    yield connection


if __name__ == "__main__":
    database.transaction = _transaction
    sys.exit(service.main())
