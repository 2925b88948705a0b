"""Files that are there whole or not at all, and directories that go as a whole."""

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


def write_whole(path: Path, content: bytes) -> None:
    """Write beside the file, then rename. Raises `UsageError` when it cannot be written there."""
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
            os.fchmod(file.fileno(), 0o666 & ~_umask())
        os.replace(temporary, path)
    except OSError as error:
        if temporary is not None and os.path.exists(temporary):
            os.unlink(temporary)
        raise UsageError(f"{path}: cannot be written: {error.strerror}") from None


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
