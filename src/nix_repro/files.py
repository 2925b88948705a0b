"""Files that are there whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from nix_repro.errors import UsageError

#: Where names stand for what a process has open. Behind `/dev/stdout` may well be a regular file.
_OPEN = (Path("/dev"), Path("/dev/fd"), Path("/proc/self/fd"))


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
