"""Reading what is a file and nothing else, in a place that somebody else may have arranged."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from nix_repro.errors import UsageError


def read_regular(path: Path, limit: int, *, inside: Path | None = None) -> bytes:
    """What a regular file of at most `limit` bytes holds. Raises `UsageError` for anything else, and before it is
    opened: a pipe may never answer.

    With `inside`, the file must be below that directory, and nothing on the way there may be a link: whoever made what
    is below it must not make us read what is elsewhere.
    """
    try:
        with os.fdopen(_open(path, inside), "rb") as file:
            _expect_regular(path, os.fstat(file.fileno()))
            content = file.read(limit + 1)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from None
    if len(content) > limit:
        raise UsageError(f"{path}: more than {limit:,} bytes")
    return content


def _open(path: Path, inside: Path | None) -> int:
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
    if inside is None:
        _expect_regular(path, os.stat(path))
        return os.open(path, flags)
    whole, top = Path(os.path.abspath(path)), Path(os.path.abspath(inside))
    if not whole.is_relative_to(top) or whole == top:
        raise UsageError(f"{path}: is not inside {inside}")
    *folders, name = whole.relative_to(top).parts
    here = os.open(top, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for folder in folders:
            _refuse_link(path, os.stat(folder, dir_fd=here, follow_symlinks=False))
            there = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=here)
            os.close(here)
            here = there
        _expect_regular(path, os.stat(name, dir_fd=here, follow_symlinks=False))
        return os.open(name, flags | os.O_NOFOLLOW, dir_fd=here)
    finally:
        os.close(here)


def _expect_regular(path: Path, found: os.stat_result) -> None:
    _refuse_link(path, found)
    if stat.S_ISDIR(found.st_mode):
        raise UsageError(f"{path}: Is a directory")
    if not stat.S_ISREG(found.st_mode):
        raise UsageError(f"{path}: is not a regular file")


def _refuse_link(path: Path, found: os.stat_result) -> None:
    if stat.S_ISLNK(found.st_mode):
        raise UsageError(f"{path}: a symbolic link is not followed here")
