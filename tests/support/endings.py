"""What a test may overlook when it ends a whole operator in the middle of what it does."""

import pytest

# A call that was under way leaves its socket to the garbage collector, as the end of a process
# would leave it to the kernel.
_LEFT = r"Exception ignored in. <(function _(Selector|SSLProtocol)Transport|socket\.socket)"
sockets_left_behind = pytest.mark.filterwarnings(
    f"ignore:{_LEFT}:pytest.PytestUnraisableExceptionWarning"
)
