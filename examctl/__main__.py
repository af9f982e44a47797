"""``python -m examctl`` is the same as ``examctl``."""

from examctl.main import main

main()
