"""The coordinator's one error tree; each class has the stable code that a caller decides by.

CoordinatorError
|-- StartFailed                      told on stderr, with the process's exit code
|   `-- NotYet                       may come by itself: a service waits, a command ends
`-- Refused                          becomes problem+json (api.problems)
    |-- NotFound, Unauthenticated, Forbidden, CsrfRefused, TooManyAttempts, SignInFailed
    |-- InvalidField, BadRequest, BodyTooLarge, UnsupportedMediaType, RuleViolated
    |-- Conflict (Stale), VersionInUse, NotReady
    |-- ClientUnreachable, DatabaseUnavailable
    |-- NotRegistered, Fenced, SeqGap, SeqConflict
    `-- ManifestMismatch, ManifestConflict, ChunkMismatch
"""

from typing import ClassVar

from exam_contract.problems import ProblemCode


class CoordinatorError(Exception):
    """Base of every error of this component."""


class StartFailed(CoordinatorError):
    """The process can't start; the message says what to do."""

    def __init__(self, message: str, exit_code: int = 2) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class NotYet(StartFailed):
    """Something is not there yet and may come by itself."""


class Refused(CoordinatorError):
    """A request that is answered by a problem; ``members`` stand beside the standard ones."""

    code: ClassVar[ProblemCode] = ProblemCode.INTERNAL

    def __init__(self, detail: str, **members: object) -> None:
        super().__init__(detail)
        self.detail = detail
        self.members = members


class BadRequest(Refused):
    code = ProblemCode.BAD_REQUEST


class InvalidField(Refused):
    """``errors``: a list naming each place and its mend."""

    code = ProblemCode.INVALID_FIELD


class BodyTooLarge(Refused):
    code = ProblemCode.BODY_TOO_LARGE


class UnsupportedMediaType(Refused):
    code = ProblemCode.UNSUPPORTED_MEDIA_TYPE


class NotFound(Refused):
    code = ProblemCode.NOT_FOUND


class Unauthenticated(Refused):
    code = ProblemCode.UNAUTHENTICATED


class Forbidden(Refused):
    code = ProblemCode.FORBIDDEN


class CsrfRefused(Refused):
    code = ProblemCode.CSRF_REFUSED


class TooManyAttempts(Refused):
    code = ProblemCode.TOO_MANY_ATTEMPTS


class SignInFailed(Refused):
    code = ProblemCode.SIGN_IN_FAILED


class Conflict(Refused):
    code = ProblemCode.CONFLICT


class Stale(Conflict):
    """An object was written by somebody else since it was read."""


class VersionInUse(Refused):
    code = ProblemCode.VERSION_IN_USE


class RuleViolated(Refused):
    code = ProblemCode.RULE_VIOLATED


class NotReady(Refused):
    code = ProblemCode.NOT_READY


class ClientUnreachable(Refused):
    code = ProblemCode.CLIENT_UNREACHABLE


class ClientRefused(Refused):
    """The exam-client answered with a problem of its own, which is passed on."""

    def __init__(self, code: ProblemCode, detail: str, **members: object) -> None:
        super().__init__(detail, **members)
        self.code = code  # type: ignore[misc]  # one instance speaks for another service


class DatabaseUnavailable(Refused):
    code = ProblemCode.DATABASE_UNAVAILABLE


class NotRegistered(Refused):
    code = ProblemCode.NOT_REGISTERED


class Fenced(Refused):
    code = ProblemCode.FENCED


class SeqGap(Refused):
    code = ProblemCode.SEQ_GAP


class SeqConflict(Refused):
    code = ProblemCode.SEQ_CONFLICT


class ManifestMismatch(Refused):
    code = ProblemCode.MANIFEST_MISMATCH


class ManifestConflict(Refused):
    code = ProblemCode.MANIFEST_CONFLICT


class ChunkMismatch(Refused):
    code = ProblemCode.CHUNK_MISMATCH
