"""What examctl tells a person when something cannot be done: what, where, and the mend."""

from dataclasses import dataclass


@dataclass(frozen=True)
class FieldError:
    """One place in an input and what is wrong there."""

    path: str
    message: str


class ExamctlError(Exception):
    """Shown in words on standard error; ``exit_code`` is what the shell sees."""

    exit_code = 1

    def __init__(
        self, message: str, hint: str | None = None, errors: tuple[FieldError, ...] = ()
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.errors = errors


class UnreadableInputError(ExamctlError):
    """A file or argument that cannot be used as it is."""

    exit_code = 2


class RefusedError(ExamctlError):
    """A service understood and said no: a rule, a permission, a state."""

    exit_code = 3


class UnreachableError(ExamctlError):
    """Nobody answered, or not in time."""

    exit_code = 4
