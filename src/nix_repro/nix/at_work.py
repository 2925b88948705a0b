"""Which builds are over, as the store shows it: before 2.34, Nix says only at the end of the whole command that a build
has stopped which was asked for by name.

While Nix builds something, it holds a lock on a file beside each of its outputs, or beside the .drv where it does not
know yet what these will be called. After a success it removes the file, after a failure it lets go of it. The directory
is looked at for that, and the kernel's list of locks: nothing is started, and nothing is held that Nix would wait for.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from nix_repro.nix.derivation import Derivation

_LOCKS = Path("/proc/locks")


def over(drv: Derivation, places: Iterable[Path], locked: frozenset[int] | None) -> bool:
    """Whether a build that was seen to start is over, in the first of the store directories that shows a trace of it.
    `locked` are the inodes on which anybody has a lock, None where that is not known: then a file is as good as one."""
    known = [output.path for output in drv.outputs.values() if output.path is not None]
    beside = known if len(known) == len(drv.outputs) else [drv.drv_path]
    for place in places:
        here = [str(place / os.path.basename(path)) for path in beside]
        files = [inode for path in here if (inode := _inode(f"{path}.lock")) is not None]
        if files:
            return locked is not None and not locked.intersection(files)
        if beside is known and all(map(os.path.lexists, here)):
            return True
    return False


def _inode(path: str) -> int | None:
    try:
        return os.lstat(path).st_ino
    except OSError:
        return None


def locked_inodes(file: Path = _LOCKS) -> frozenset[int] | None:
    """The inodes of all locked files, None where the kernel does not tell.

    A line is `1: FLOCK  ADVISORY  WRITE 708 00:2a:16911 0 EOF`; one with an arrow waits for a lock.
    """
    try:
        lines = file.read_text("ascii", "replace").splitlines()
    except OSError:
        return None
    found: set[int] = set()
    for line in lines:
        words = line.split()
        if "->" not in words and len(words) > 5:
            inode = words[5].rpartition(":")[2]
            found.update([int(inode)] if inode.isdecimal() else [])
    return frozenset(found)


def rooms(store: Path) -> Path:
    """Where the shadow rebuilder makes its rooms, of which each has a store of its own."""
    return store.parent / "var/nix-repro"


class AtWork:
    """Tells builds that run from those that are over. `find` gives a derivation by its .drv path, None when it is not
    known; `store` is the store's directory, `rooms` where the shadow rebuilder has its stores."""

    def __init__(self, find: Callable[[str], Derivation | None], store: Path, rooms: Path) -> None:
        self._find = find
        self._store = store
        self._rooms = rooms

    def over(self, drv_paths: Sequence[str]) -> list[str]:
        """Those of the builds that are over."""
        # The store itself last: in a rebuild, it has the outputs of the first build.
        places = [*self._rooms.glob("run-*/store"), self._store]
        locked = locked_inodes()
        drvs = ((path, self._find(path)) for path in drv_paths)
        return [path for path, drv in drvs if drv is not None and over(drv, places, locked)]
