"""What goes wrong at the operator's edges. The core never raises: it plans with what is seen.

OperatorError
├── EdgeError: an edge could not look or obey just now; tried again with back-off
│   ├── Stale: the object changed meanwhile; look again at once
│   ├── Busy: the platform is overloaded and says how long it wants to be left alone
│   ├── AlreadyThere: an object of that name exists
│   ├── Refused: the platform said no, in words that a person can act on
│   └── SecondClient: another exam-client may still be alive; nothing is started beside it
├── ClientSilent: the exam-client did not answer
├── CoordinatorSilent: the coordinator did not answer
├── RegistrationRefused: the coordinator answered and said no
└── ObjectError: a caller's request for an object can't be done
    ├── ObjectInvalid: a field or a rule; carries every place
    ├── ObjectConflict: it exists already, or its resourceVersion is stale
    └── ObjectUnknown: there is no such object
"""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FieldFault:
    """``path``: dotted field path; ``message``: what is wrong there and what to do."""

    path: str
    message: str


class OperatorError(Exception):
    """The root of the operator's errors."""


class EdgeError(OperatorError):
    """An edge could not look or obey just now."""


class Stale(EdgeError):
    """The object changed meanwhile."""


class Busy(EdgeError):
    """The platform is overloaded; nothing is tried again before ``after_seconds`` are over."""

    def __init__(self, after_seconds: float, message: str) -> None:
        super().__init__(message)
        self.after_seconds = after_seconds


class AlreadyThere(EdgeError):
    """An object of that name exists."""


class Refused(EdgeError):
    """The platform said no. ``reason`` is a CamelCase word for a condition."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class SecondClient(EdgeError):
    """Another exam-client may still be alive."""


class ClientSilent(OperatorError):
    """The exam-client did not answer."""


class CoordinatorSilent(OperatorError):
    """The coordinator did not answer."""


class RegistrationRefused(OperatorError):
    """The coordinator answered and said no, in words."""


class ObjectError(OperatorError):
    """A caller's request for an object can't be done."""


class ObjectInvalid(ObjectError):
    """A field or a rule of the object is broken."""

    def __init__(self, faults: Sequence[FieldFault]) -> None:
        super().__init__("; ".join(f"{fault.path}: {fault.message}" for fault in faults))
        self.faults = tuple(faults)


class ObjectConflict(ObjectError):
    """It exists already, or its resourceVersion is stale."""


class ObjectUnknown(ObjectError):
    """There is no such object."""
