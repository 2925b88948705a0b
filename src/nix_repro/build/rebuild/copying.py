"""Copies of store paths under a directory that we own."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Mapping
from contextlib import suppress
from os import PathLike
from pathlib import Path

from nix_repro.build.rebuild.protocol import Answer
from nix_repro.files import Descent, remove_tree
from nix_repro.nix.nar import nar_hash
from nix_repro.observations import Attempt, Tree

#: Bytes that are copied at once.
_CHUNK = 1 << 20


def copy_tree(source: str | PathLike[str], to: Path) -> None:
    """Copy a file, link or directory with its links and executable bits, writable for us so that it can be removed.

    However deep it is, and although the copy's path may be longer than a system call takes. Names are bytes to the
    system, whatever encoding they are in. Raises `OSError` for what cannot be copied, and for what no store path holds;
    then nothing is left of the copy, which would fill the disk for nothing.
    """
    to.parent.mkdir(parents=True, exist_ok=True)
    try:
        _copy_tree(Path(source), to)
    except FileExistsError:
        raise
    except OSError:
        with suppress(OSError):
            remove_tree(to)
        raise


def _copy_tree(source: Path, to: Path) -> None:
    if not stat.S_ISDIR(os.lstat(source).st_mode):
        with Descent(source.parent) as here, Descent(to.parent) as there:
            _copy(source.name, here.fd, to.name, there.fd)
        return
    to.mkdir()
    with Descent(source) as here, Descent(to) as there:
        levels = [_copied(here.fd, there.fd)]
        while levels:
            if levels[-1]:
                name = levels[-1].pop()
                os.mkdir(name, dir_fd=there.fd)
                here.down(name)
                there.down(name)
                levels.append(_copied(here.fd, there.fd))
            else:
                levels.pop()
                if levels:
                    here.up()
                    there.up()


def _copied(source: int, to: int) -> list[str]:
    """Copy what is no directory from one directory into another, both by descriptor; the names of those that are."""
    below: list[str] = []
    with os.scandir(source) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                below.append(entry.name)
            else:
                _copy(entry.name, source, entry.name, to)
    return below


def _copy(name: str, source: int, new_name: str, to: int) -> None:
    mode = os.lstat(name, dir_fd=source).st_mode
    if stat.S_ISLNK(mode):
        os.symlink(os.readlink(name, dir_fd=source), new_name, dir_fd=to)
        return
    if not stat.S_ISREG(mode):
        raise OSError(0, "it holds something that no store path holds", name)
    with (
        open(os.open(name, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=source), "rb") as content,
        open(os.open(new_name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644, dir_fd=to), "wb") as copy,
    ):
        shutil.copyfileobj(content, copy, _CHUNK)
        os.fchmod(copy.fileno(), 0o755 if mode & stat.S_IXUSR else 0o644)


def whole_trees(
    answer: Answer, first: Mapping[str, Attempt]
) -> tuple[dict[tuple[str, str], Tree], list[tuple[str, str]]]:
    """An answer's trees by .drv path and output name, and the keys of those that are not what was observed: a full disk
    leaves half a copy, which must not be taken for the rebuild. The other side is looked at where it is one too."""
    whole: dict[tuple[str, str], Tree] = {}
    broken: list[tuple[str, str]] = []
    again = {attempt.drv_path: attempt for attempt in answer.attempts}
    for (drv_path, output), tree in answer.trees.items():
        was, now = (again[drv_path].against or first[drv_path]).outputs[output], again[drv_path].outputs[output]
        copies = [(tree.b, now)] if str(tree.a) == was.path else [(tree.a, was), (tree.b, now)]
        ok = all(_hash(path) == seen.nar_hash for path, seen in copies)
        if ok:
            whole[drv_path, output] = tree
        else:
            broken.append((drv_path, output))
    return whole, broken


def _hash(path: Path) -> str | None:
    try:
        return nar_hash(path)
    except OSError:
        return None
