"""Where the browser of the browser tests is, and how to start it quietly on a closed machine."""

import os
import shutil
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ARGUMENTS = (
    "--no-sandbox",  # tests may run as root, where Chromium's own sandbox refuses to
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    # Nothing but the pages under test is asked for.
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def find_chromium() -> Path:
    """The browser's program; MEDXAMION_CHROMIUM wins. Raises LookupError that says the mend."""
    named = os.environ.get("MEDXAMION_CHROMIUM")
    found = [shutil.which(name) for name in ([named] if named else NAMES)]
    for path in found:
        if path:
            return Path(path)
    looked_for = named or ", ".join(NAMES)
    raise LookupError(
        f"No Chromium (looked for {looked_for}). `make test` installs it on Debian; elsewhere "
        "install it, or set MEDXAMION_CHROMIUM to its program."
    )
