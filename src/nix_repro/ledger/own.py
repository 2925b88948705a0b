"""Where people keep a ledger of their own."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path

from nix_repro.errors import UsageError
from nix_repro.ledger.file import LedgerError

#: What stands for the file where one is named.
OWN = "user"
#: The environment variable that names the ledger of every run.
VARIABLE = "NIX_REPRO_LEDGER"


def own_ledger(environ: Mapping[str, str]) -> Path | None:
    """The ledger in the user's state directory, None for who has neither that nor a home."""
    # What is not absolute is to be ignored, says the XDG base directory specification.
    state = environ.get("XDG_STATE_HOME", "")
    home = environ.get("HOME", "")
    if not os.path.isabs(state):
        if not os.path.isabs(home):
            return None
        state = os.path.join(home, ".local", "state")
    return Path(state, "nix-repro", "ledger.db")


def named(value: str, environ: Mapping[str, str]) -> Path:
    """The file that a flag or an argument names. Raises `UsageError`."""
    if value != OWN:
        return Path(value)
    if (own := own_ledger(environ)) is None:
        raise UsageError("a ledger of your own needs XDG_STATE_HOME or HOME to be set")
    return own


def from_environment(environ: Mapping[str, str]) -> Path | None:
    """The file that `VARIABLE` names, None where it names none. Raises `UsageError`."""
    value = environ.get(VARIABLE, "")
    if value and value != OWN and not os.path.isabs(value):
        # Whatever checkout it is started in would bring its own.
        raise UsageError(f"{VARIABLE}: {value!r} is neither {OWN} nor an absolute path")
    return named(value, environ) if value else None


def make_room(file: Path) -> None:
    """Make the directory of a ledger of one's own: nobody else may write there. Raises `LedgerError`."""
    try:
        os.makedirs(file.parent, mode=0o700, exist_ok=True)
        found = file.parent.stat()
    except OSError as error:
        raise LedgerError(f"{error.filename}: {error.strerror}") from None
    if found.st_uid != os.geteuid() or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise LedgerError("others may write in its directory")
