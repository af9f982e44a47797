"""What can be wrong with the one-machine PostgreSQL; each message says what to do about it.

PostgresError
├── PostgresBinariesError    no server programs, or they do not run here
├── PostgresFolderError      its folder cannot be used
├── PostgresPortError        its port belongs to somebody else
├── PostgresDiskFullError    no room
└── PostgresStartError       it did not come up (or did not go down)
"""

from examctl.errors import ExamctlError


class PostgresError(ExamctlError):
    pass


class PostgresBinariesError(PostgresError):
    pass


class PostgresFolderError(PostgresError):
    pass


class PostgresPortError(PostgresError):
    pass


class PostgresDiskFullError(PostgresError):
    pass


class PostgresStartError(PostgresError):
    pass
