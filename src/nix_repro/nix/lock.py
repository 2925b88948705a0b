"""One lock a store, between runs of ours: Nix locks single paths, and lets go of them between its commands.

It lies on the store's directory itself, which everybody who uses the store may open.
"""

from __future__ import annotations

import fcntl
import os
import urllib.parse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

#: Seconds between two tries.
INTERVAL = 0.2


@contextmanager
def locked(
    directory: Path, *, alone: bool, waiting: Callable[[], None], pause: Callable[[float], None]
) -> Iterator[None]:
    """Hold the lock of the store in `directory`: alone, or together with others who leave what is there as it is.

    Calls `waiting` once when somebody else has it, and `pause` with seconds until it is free. Without a directory on
    this machine, or on one whose file system knows no locks, there is nothing to wait for.
    """
    try:
        handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        yield
        return
    try:
        if not _taken(handle, alone=alone):
            waiting()
            while not _taken(handle, alone=alone):
                pause(INTERVAL)
        yield
    finally:
        os.close(handle)


def _taken(handle: int, *, alone: bool) -> bool:
    try:
        fcntl.flock(handle, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def directory_of(url: str) -> Path | None:
    """The directory of a store on this machine that its URL names (`local?root=DIR`, or DIR itself), if it does."""
    base, _, query = url.partition("?")
    if base.startswith("/"):
        return Path(base)
    root = urllib.parse.parse_qs(query).get("root")
    return Path(root[-1]) if root and base.partition("://")[0] == "local" else None
