"""The narHash of a tree on disk, as Nix computes it: of a copy that Nix does not know, and however deep it is.

The format is the Nix Archive of the Nix manual ("Nix Archive (NAR) format"): strings with their length in eight bytes,
padded to eight; entries in the order of their names' bytes.
"""

from __future__ import annotations

import base64
import hashlib
import os
import stat
from collections.abc import Callable
from pathlib import Path

from nix_repro.files import Descent

#: Bytes that are read at once.
_CHUNK = 1 << 20


def nar_hash(path: Path) -> str:
    """The SHA-256 of the tree's archive (SRI). Raises `OSError` for what cannot be read, or in no archive."""
    digest = hashlib.sha256()
    put = digest.update
    put(_string(b"nix-archive-1"))
    if not stat.S_ISDIR(os.lstat(path).st_mode):
        with Descent(path.parent) as here:
            _leaf(os.fsencode(path.name), here.fd, put)
    else:
        with Descent(path) as here:
            _directory(here, put)
    return f"sha256-{base64.b64encode(digest.digest()).decode()}"


def _directory(here: Descent, put: Callable[[bytes], None]) -> None:
    put(_words(b"(", b"type", b"directory"))
    levels = [_names(here.fd)]
    while levels:
        if levels[-1]:
            name = levels[-1].pop()
            put(_words(b"entry", b"(", b"name", name, b"node"))
            if stat.S_ISDIR(os.lstat(name, dir_fd=here.fd).st_mode):
                here.down(os.fsdecode(name))
                put(_words(b"(", b"type", b"directory"))
                levels.append(_names(here.fd))
            else:
                _leaf(name, here.fd, put)
                put(_string(b")"))
        else:
            levels.pop()
            put(_string(b")"))
            if levels:
                here.up()
                put(_string(b")"))


def _names(fd: int) -> list[bytes]:
    """The names in a directory, the last one first."""
    return sorted(map(os.fsencode, os.listdir(fd)), reverse=True)


def _leaf(name: bytes, fd: int, put: Callable[[bytes], None]) -> None:
    status = os.lstat(name, dir_fd=fd)
    if stat.S_ISLNK(status.st_mode):
        put(_words(b"(", b"type", b"symlink", b"target", os.readlink(name, dir_fd=fd), b")"))
        return
    if not stat.S_ISREG(status.st_mode):
        raise OSError(0, "it holds something that no store path holds", os.fsdecode(name))
    executable = (b"executable", b"") if status.st_mode & stat.S_IXUSR else ()
    put(_words(b"(", b"type", b"regular", *executable, b"contents"))
    put(status.st_size.to_bytes(8, "little"))
    with open(os.open(name, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=fd), "rb") as file:
        while chunk := file.read(_CHUNK):
            put(chunk)
    put(_padding(status.st_size) + _string(b")"))


def _words(*words: bytes) -> bytes:
    return b"".join(map(_string, words))


def _string(text: bytes) -> bytes:
    return len(text).to_bytes(8, "little") + text + _padding(len(text))


def _padding(length: int) -> bytes:
    return bytes(-length % 8)
