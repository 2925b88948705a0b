"""A process without the job's credentials.

The kernel keeps the environment that a process was started with readable, whatever the process does to it later: to a
builder without a sandbox, a test, or an evaluation of the same user. So the process is started anew without what it
has no use for there, and the few commands that have get it handed over in a file without a name. So do all what is set
for Nix, which gets it in a file of its own (nix/private_settings.py).
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Collection, Mapping

from nix_repro.nix.credentials import CREDENTIAL

#: The descriptor of the file.
_HANDED = "NIX_REPRO_HANDED_OVER"
#: Where people put access tokens for Nix.
_SETTINGS = "NIX_CONFIG"


def start_anew(commands: Collection[str]) -> None:
    """Returns in a process whose first environment holds no credentials, and no settings of Nix, which may name some.
    The settings are in `os.environ` then, and for one of the `commands` so are the credentials; for all others they are
    gone."""
    if (handed := os.environ.pop(_HANDED, None)) is not None:
        os.environ.update(_take(int(handed)))
        return
    held = {name: value for name, value in os.environ.items() if CREDENTIAL.match(name) or name == _SETTINGS}
    if not held:
        return
    environ = {name: value for name, value in os.environ.items() if name not in held}
    all_of_it = len(sys.argv) > 1 and sys.argv[1] in commands
    wanted = {name: value for name, value in held.items() if all_of_it or name == _SETTINGS}
    environ[_HANDED] = str(_file(wanted))
    os.execve(sys.executable, sys.orig_argv, environ)  # noqa: S606  # ourselves, as we were started


def _file(content: Mapping[str, str]) -> int:
    if hasattr(os, "memfd_create"):
        handle = os.memfd_create("handed-over", 0)
    else:
        with tempfile.TemporaryFile() as file:
            handle = os.dup(file.fileno())
    os.set_inheritable(handle, True)
    with open(handle, "wb", closefd=False) as out:
        out.write(json.dumps(dict(content)).encode("ascii"))
    os.lseek(handle, 0, os.SEEK_SET)
    return handle


def _take(handle: int) -> dict[str, str]:
    with open(handle, "rb") as file:
        found: dict[str, str] = json.loads(file.read())
    return found
