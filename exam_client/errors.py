"""Everything that can go wrong in an exam-client, as one tree (but for ``settings.SettingsWrong``).

ExamClientError
    StartRefused        the process does not start; the message says why and what to do
        VolumeInUse     another exam-client holds the volume
        VolumeRefused   the volume cannot be used as it is
        KeyRefused      the key does not open the file
        FileDamaged     the file opens and is not whole
    Refusal             a request that is answered by a problem
    StorageFailed       a commit whose outcome nobody knows; the process ends and recovers
    StorageFull         a commit that failed for want of space; nothing was written
    StorageLost         the files of the delivery are not where they were
    BackupGivenUp       a backup that nobody waits for any more
    EraseFailed         a file of the delivery could not be destroyed yet
    BundleRefused       a bundle that must not be used; the message says why
    CoordinatorRefused  the coordinator answered a request with a problem
    CoordinatorAway     the coordinator could not be reached, or did not answer in time
    CertificateBroken   a certificate or its key cannot be used; the message says why
"""

from exam_contract.problems import Problem, ProblemCode, problem


class ExamClientError(Exception):
    """The root: catching it catches everything this component raises on purpose."""


class StartRefused(ExamClientError):
    """The process cannot start. ``exit_code`` tells supervisors apart what a restart can mend."""

    exit_code = 3


class VolumeInUse(StartRefused):
    exit_code = 4


class VolumeRefused(StartRefused):
    exit_code = 5


class KeyRefused(StartRefused):
    exit_code = 6


class FileDamaged(StartRefused):
    exit_code = 7


class Refusal(ExamClientError):
    """A decision against a request, before anything was changed."""

    def __init__(self, code: ProblemCode, detail: str | None = None, **members: object) -> None:
        super().__init__(detail or code)
        self.code = code
        self.detail = detail
        self.members = members

    @property
    def retry_after(self) -> int | None:
        """Seconds, where waiting helps; also said as a header."""
        seconds = self.members.get("retry_after")
        return seconds if isinstance(seconds, int) else None

    def body(self) -> Problem:
        return problem(self.code, self.detail, **self.members)


class StorageFailed(ExamClientError):
    """Input, output or corruption error: the outcome of the batch is indeterminate."""


class StorageFull(ExamClientError):
    """No space left: the transaction was rolled back."""


class StorageLost(ExamClientError):
    """Path and descriptor of the file or its log no longer agree."""


class EraseFailed(ExamClientError):
    """Something of the delivery is still on the volume."""


class BackupGivenUp(ExamClientError):
    """Its caller is gone, or the process ends."""


class BundleRefused(ExamClientError):
    """Signature, digest, key or item types of a bundle do not hold."""


class CoordinatorAway(ExamClientError):
    """No answer: the outcome of the request is unknown."""


class CertificateBroken(ExamClientError):
    """What was in force before stays in force."""


class CoordinatorRefused(ExamClientError):
    """An answer that says no, with its status and problem members."""

    def __init__(self, status: int, members: dict[str, object]) -> None:
        super().__init__(f"{status} {members.get('code', '')} {members.get('detail', '')}".strip())
        self.status = status
        self.members = members

    @property
    def code(self) -> str:
        return str(self.members.get("code", ""))
