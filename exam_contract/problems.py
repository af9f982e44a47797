"""The one error body (RFC 9457 problem+json) and the closed list of its stable codes.

A caller decides by ``code``, never by prose; each code has one HTTP status and one title.
"""

from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict

MEDIA_TYPE = "application/problem+json"


class ProblemCode(StrEnum):
    """Stable codes; docs/protocol.md says for each what to do."""

    BAD_REQUEST = "bad_request"
    INVALID_FIELD = "invalid_field"
    BODY_TOO_LARGE = "body_too_large"
    UNSUPPORTED_MEDIA_TYPE = "unsupported_media_type"
    REQUEST_TIMEOUT = "request_timeout"
    NOT_FOUND = "not_found"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    UNAUTHENTICATED = "unauthenticated"
    TOKEN_INVALID = "token_invalid"
    TOKEN_EXPIRED = "token_expired"
    TOKEN_REPLAYED = "token_replayed"
    SESSION_ENDED = "session_ended"
    DEVICE_CONFLICT = "device_conflict"
    TAKEOVER_REFUSED = "takeover_refused"
    FORBIDDEN = "forbidden"
    CSRF_REFUSED = "csrf_refused"
    TOO_MANY_ATTEMPTS = "too_many_attempts"
    SIGN_IN_FAILED = "sign_in_failed"
    SIGN_IN_AT_COORDINATOR = "sign_in_at_coordinator"
    NOT_OPEN_YET = "not_open_yet"
    WINDOW_CLOSED = "window_closed"
    ATTEMPT_NOT_STARTED = "attempt_not_started"
    ATTEMPT_CLOSED = "attempt_closed"
    ATTEMPT_PAUSED = "attempt_paused"
    DEADLINE_PASSED = "deadline_passed"
    UNKNOWN_QUESTION = "unknown_question"
    ANSWER_INVALID = "answer_invalid"
    REVISION_CONFLICT = "revision_conflict"
    COMMAND_REUSED = "command_reused"
    STORAGE_LOST = "storage_lost"
    STORAGE_FULL = "storage_full"
    NOT_READY = "not_ready"
    STOPPING = "stopping"
    DELIVERY_FROZEN = "delivery_frozen"
    RECEIPT_HELD = "receipt_held"
    STALE_GENERATION = "stale_generation"
    FENCED = "fenced"
    NOT_REGISTERED = "not_registered"
    SEQ_GAP = "seq_gap"
    SEQ_CONFLICT = "seq_conflict"
    MANIFEST_MISMATCH = "manifest_mismatch"
    MANIFEST_CONFLICT = "manifest_conflict"
    CHUNK_MISMATCH = "chunk_mismatch"
    CONFLICT = "conflict"
    VERSION_IN_USE = "version_in_use"
    RULE_VIOLATED = "rule_violated"
    CLIENT_UNREACHABLE = "client_unreachable"
    COORDINATOR_UNREACHABLE = "coordinator_unreachable"
    DATABASE_UNAVAILABLE = "database_unavailable"
    INTERNAL = "internal"


STATUS: dict[ProblemCode, tuple[int, str]] = {
    ProblemCode.BAD_REQUEST: (400, "The request could not be read"),
    ProblemCode.INVALID_FIELD: (422, "A field is missing or wrong"),
    ProblemCode.BODY_TOO_LARGE: (413, "The request body is too large"),
    ProblemCode.UNSUPPORTED_MEDIA_TYPE: (415, "The request body must be JSON"),
    ProblemCode.REQUEST_TIMEOUT: (408, "The request took too long to arrive"),
    ProblemCode.NOT_FOUND: (404, "There is nothing here"),
    ProblemCode.METHOD_NOT_ALLOWED: (405, "This method is not offered here"),
    ProblemCode.UNAUTHENTICATED: (401, "Sign in first"),
    ProblemCode.TOKEN_INVALID: (401, "The token is not valid here"),
    ProblemCode.TOKEN_EXPIRED: (401, "The token has expired"),
    ProblemCode.TOKEN_REPLAYED: (403, "The token was already used on another device"),
    ProblemCode.SESSION_ENDED: (401, "The session has ended"),
    ProblemCode.DEVICE_CONFLICT: (409, "The exam is open on another device"),
    ProblemCode.TAKEOVER_REFUSED: (403, "The takeover code was not accepted"),
    ProblemCode.FORBIDDEN: (403, "You may not do this"),
    ProblemCode.CSRF_REFUSED: (403, "The request did not come from this site"),
    ProblemCode.TOO_MANY_ATTEMPTS: (429, "Too many attempts; wait and try again"),
    ProblemCode.SIGN_IN_FAILED: (401, "Sign-in was refused"),
    ProblemCode.SIGN_IN_AT_COORDINATOR: (409, "Sign in at the coordinator"),
    ProblemCode.NOT_OPEN_YET: (403, "The exam has not opened yet"),
    ProblemCode.WINDOW_CLOSED: (403, "The exam has closed"),
    ProblemCode.ATTEMPT_NOT_STARTED: (409, "The attempt has not been started"),
    ProblemCode.ATTEMPT_CLOSED: (409, "The attempt is closed"),
    ProblemCode.ATTEMPT_PAUSED: (409, "The exam is paused"),
    ProblemCode.DEADLINE_PASSED: (409, "The time is over"),
    ProblemCode.UNKNOWN_QUESTION: (404, "There is no such question in this attempt"),
    ProblemCode.ANSWER_INVALID: (422, "The answer does not fit the question"),
    ProblemCode.REVISION_CONFLICT: (409, "The answer was changed elsewhere"),
    ProblemCode.COMMAND_REUSED: (409, "The command id was used for another command"),
    ProblemCode.STORAGE_LOST: (503, "The exam's storage is gone"),
    ProblemCode.STORAGE_FULL: (507, "The exam's storage is full"),
    ProblemCode.NOT_READY: (503, "The exam is not ready yet"),
    ProblemCode.STOPPING: (503, "The service is stopping; try again"),
    ProblemCode.DELIVERY_FROZEN: (409, "The delivery is closed for transfer"),
    ProblemCode.RECEIPT_HELD: (409, "The results are already received"),
    ProblemCode.STALE_GENERATION: (409, "A newer desired state is already in force"),
    ProblemCode.FENCED: (409, "This exam-client is fenced off"),
    ProblemCode.NOT_REGISTERED: (409, "This exam-client is not registered yet; try again"),
    ProblemCode.SEQ_GAP: (409, "An earlier event is missing"),
    ProblemCode.SEQ_CONFLICT: (409, "Another event holds this sequence number"),
    ProblemCode.MANIFEST_MISMATCH: (422, "The rows do not match the manifest"),
    ProblemCode.MANIFEST_CONFLICT: (409, "Another manifest was already received"),
    ProblemCode.CHUNK_MISMATCH: (422, "The chunk does not match its digest"),
    ProblemCode.CONFLICT: (409, "The state does not allow this"),
    ProblemCode.VERSION_IN_USE: (409, "This version exists with other content"),
    ProblemCode.RULE_VIOLATED: (422, "The object breaks a rule"),
    ProblemCode.CLIENT_UNREACHABLE: (503, "The exam-client does not answer"),
    ProblemCode.COORDINATOR_UNREACHABLE: (503, "The coordinator does not answer"),
    ProblemCode.DATABASE_UNAVAILABLE: (503, "The database does not answer"),
    ProblemCode.INTERNAL: (500, "Something went wrong on our side"),
}


class Problem(BaseModel):
    """RFC 9457 body. Extra members (such as ``expected_seq``) stand beside the standard ones."""

    model_config = ConfigDict(extra="allow", frozen=True)

    type: str
    title: str
    status: int
    code: ProblemCode
    detail: str | None = None
    errors: list[dict[str, Any]] | None = None


def problem(code: ProblemCode, detail: str | None = None, **members: object) -> Problem:
    """Build the body of a code; ``detail`` says what to do, ``members`` are machine-readable."""
    status, title = STATUS[code]
    body = {"type": f"urn:medxamion:problem:{code}", "title": title, "status": status, "code": code}
    return Problem.model_validate({**body, "detail": detail, **members})
