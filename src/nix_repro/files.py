"""Files that are there whole or not at all, and read only where they are files; directories that go as a whole."""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

from nix_repro.errors import UsageError

#: Where names stand for what a process has open. Behind `/dev/stdout` may well be a regular file.
_OPEN = (Path("/dev"), Path("/dev/fd"), Path("/proc/self/fd"))

#: How directories are opened: only if they are some, and not through a link.
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def is_stream(path: Path) -> bool:
    """A device, a pipe, `/dev/stdout`: to be written to, and never to be replaced by a file."""
    return path.parent in _OPEN or (path.exists() and not (path.is_file() or path.is_dir()))


def write_whole(path: Path, content: bytes, *, keep_mode: bool = False) -> None:
    """Write beside the file, then rename; with `keep_mode`, who may read and write it stays as it is. Raises
    `UsageError` when it cannot be written there."""
    temporary: str | None = None
    try:
        if is_stream(path):
            with path.open("wb") as stream:
                stream.write(content)
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            os.fchmod(file.fileno(), _mode(path) if keep_mode and path.exists() else 0o666 & ~_umask())
        os.replace(temporary, path)
    except OSError as error:
        if temporary is not None and os.path.exists(temporary):
            os.unlink(temporary)
        raise UsageError(f"{path}: cannot be written: {error.strerror}") from None


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current


@contextmanager
def private_directory(prefix: str = "nix-repro-", parent: Path | None = None) -> Iterator[Path]:
    """A directory of our own that is gone afterwards, with whatever a builder has made in it. The standard library's
    recurses into it, and until Python 3.12 changes modes through links."""
    directory = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
    try:
        yield directory
    finally:
        with suppress(OSError):
            remove_tree(directory)


def remove_tree(path: Path) -> None:
    """Remove a file, a link, or a directory with all that is in it, however deep that is. Nothing is followed, and only
    directories that are to be removed are made writable. Raises `OSError` for what cannot be removed."""
    if not stat.S_ISDIR(os.lstat(path).st_mode):
        os.unlink(path)
        return
    with Descent(path) as here:
        levels = [("", _emptied(here.fd))]
        while levels:
            name, below = levels[-1]
            if below:
                here.down(below[-1])
                levels.append((below.pop(), _emptied(here.fd)))
            else:
                levels.pop()
                if levels:
                    here.up()
                    os.rmdir(name, dir_fd=here.fd)
    os.rmdir(path)


def _emptied(fd: int) -> list[str]:
    """Remove what is no directory from a directory; the names of those that are."""
    if os.fstat(fd).st_mode & 0o700 != 0o700:
        os.fchmod(fd, 0o700)
    below: list[str] = []
    with os.scandir(fd) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                below.append(entry.name)
            else:
                os.unlink(entry.name, dir_fd=fd)
    return below


class Descent:
    """One directory at a time, by its descriptor `fd`: down into it and up again by single names, so that no path is
    too long, no link is followed, and a tree of any depth takes one descriptor."""

    def __init__(self, top: Path) -> None:
        self.fd = os.open(top, _DIRECTORY)
        self._above: list[tuple[int, int]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.fd)

    def down(self, name: str) -> None:
        """Into a directory. Raises `OSError` when it is none, or a link."""
        self._above.append(_identity(self.fd))
        self._move(os.open(name, _DIRECTORY, dir_fd=self.fd))

    def up(self) -> None:
        """Back to where `down` came from. Raises `OSError` when the directory was moved meanwhile."""
        self._move(os.open("..", _DIRECTORY, dir_fd=self.fd))
        if _identity(self.fd) != self._above.pop():
            raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))

    def _move(self, fd: int) -> None:
        os.close(self.fd)
        self.fd = fd


def _identity(fd: int) -> tuple[int, int]:
    status = os.fstat(fd)
    return status.st_dev, status.st_ino


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
    # The directory itself may be reached through links.
    with Descent(Path(os.path.realpath(top, strict=True))) as here:
        for folder in folders:
            _refuse_link(path, os.stat(folder, dir_fd=here.fd, follow_symlinks=False))
            here.down(folder)
        _expect_regular(path, os.stat(name, dir_fd=here.fd, follow_symlinks=False))
        return os.open(name, flags | os.O_NOFOLLOW, dir_fd=here.fd)


def _expect_regular(path: Path, found: os.stat_result) -> None:
    _refuse_link(path, found)
    if stat.S_ISDIR(found.st_mode):
        raise UsageError(f"{path}: Is a directory")
    if not stat.S_ISREG(found.st_mode):
        raise UsageError(f"{path}: is not a regular file")


def _refuse_link(path: Path, found: os.stat_result) -> None:
    if stat.S_ISLNK(found.st_mode):
        raise UsageError(f"{path}: a symbolic link is not followed here")
