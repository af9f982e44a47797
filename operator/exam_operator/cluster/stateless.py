"""What lets kopf keep nothing: our handlers act upon events alone.

Its own storages copy every object several times for each event, to find changes that nobody here
asks for.
"""

from collections.abc import Iterable
from typing import Any

import kopf

_NOTHING = kopf.BodyEssence()


class NoDiffs(kopf.DiffBaseStorage):
    """No last-handled state."""

    def build(
        self, *, body: kopf.Body, extra_fields: Iterable[Any] | None = None
    ) -> kopf.BodyEssence:
        return _NOTHING

    def fetch(self, *, body: kopf.Body) -> kopf.BodyEssence | None:
        return None

    def store(self, *, body: kopf.Body, patch: kopf.Patch, essence: kopf.BodyEssence) -> None:
        return


class NoProgress(kopf.ProgressStorage):
    """No handler takes more than one attempt."""

    def fetch(self, **_: Any) -> None:
        return None

    def store(self, **_: Any) -> None:
        return

    def purge(self, **_: Any) -> None:
        return

    def touch(self, **_: Any) -> None:
        return

    def clear(self, *, essence: kopf.BodyEssence) -> kopf.BodyEssence:
        return essence
