"""Both sides of what differs in one archive, so that they travel.

An archive, not a directory: what uploads artifacts follows symbolic links, so that a hostile link would carry a file of
the runner along, and refuses names that are fine in a store path. Reading one back trusts nothing in it.
"""

from __future__ import annotations

import gzip
import os
import shutil
import stat
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, cast

from nix_repro.errors import UsageError
from nix_repro.observations import Tree

NAME = "trees.tar.gz"
#: Bytes of all files in an archive, before compression: an artifact that nobody downloads explains nothing.
LIMIT = 256 << 20
#: Bytes that are read back from an archive.
READ_LIMIT = 2 << 30
#: Entries in it.
ENTRIES = 500_000
#: Directories within each other in it: removing them recurses.
DEPTH = 400
TOO_LARGE = "too large"
#: Bytes of a header.
_BLOCK = 512
#: The most bytes that tarfile asks for at once: names and link targets are no longer.
_AT_ONCE = 1 << 20


def write_trees(file: Path, trees: Mapping[str, Tree], limit: int = LIMIT) -> dict[str, str]:
    """Pack `NAME/OUTPUT/{a,b}` for each tree while there is room; returns what was left out, and why.

    Raises `UsageError` when the file cannot be written.
    """
    left_out: dict[str, str] = {}
    entries = ENTRIES
    partial = file.with_name(f".{file.name}.partial")
    try:
        # What a killed run left, or what somebody put there to be written through.
        partial.unlink(missing_ok=True)
        with (
            partial.open("xb") as content,
            tarfile.open(fileobj=content, mode="w:gz", format=tarfile.PAX_FORMAT, compresslevel=1) as tar,
        ):
            for name, tree in trees.items():
                sides = ((tree.a, f"{name}/a"), (tree.b, f"{name}/b"))
                try:
                    number, size = _measure(sides, limit, entries)
                except OSError as error:
                    left_out[name] = f"cannot be read: {error.strerror}"
                    continue
                if size > limit or number > entries:
                    left_out[name] = TOO_LARGE
                    continue
                limit, entries = limit - size, entries - number
                for root, where in sides:
                    for source, info in _members(root, where):
                        _add(tar, source, info)
        partial.replace(file)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise UsageError(f"{file}: cannot be written: {error.strerror}") from None
    return left_out


def _measure(sides: Iterable[tuple[Path, str]], limit: int, entries: int) -> tuple[int, int]:
    """Entries and bytes of both trees; no further than there is room."""
    number = size = 0
    for root, where in sides:
        for _, info in _members(root, where):
            number, size = number + 1, size + info.size + _BLOCK
            if size > limit or number > entries:
                return number, size
    return number, size


def _members(root: Path, name: str) -> Iterator[tuple[Path, tarfile.TarInfo]]:
    """A tree's entries, directories before what is in them: only what a NAR holds. Hard links, with which stores save
    space, become files again."""
    waiting = [(root, name)]
    while waiting:
        source, name = waiting.pop()
        if name.count("/") >= DEPTH:
            raise OSError(0, "it has too many directories within each other")
        info = tarfile.TarInfo(name)
        info.mtime = 1
        status = source.lstat()
        if stat.S_ISLNK(status.st_mode):
            info.type, info.linkname = tarfile.SYMTYPE, os.readlink(source)
        elif stat.S_ISDIR(status.st_mode):
            info.type, info.mode = tarfile.DIRTYPE, 0o755
            waiting += [(source / entry, f"{name}/{entry}") for entry in sorted(os.listdir(source), reverse=True)]
        elif stat.S_ISREG(status.st_mode):
            info.size, info.mode = status.st_size, 0o755 if status.st_mode & 0o100 else 0o644
        else:
            raise OSError(0, "it holds something that no store path holds")
        yield source, info


def _add(tar: tarfile.TarFile, source: Path, info: tarfile.TarInfo) -> None:
    if info.isreg():
        with source.open("rb") as content:
            tar.addfile(info, content)
    else:
        tar.addfile(info)


@contextmanager
def unpacked(file: Path, to: Path) -> Iterator[dict[str, Tree]]:
    """The trees of an archive by `NAME/OUTPUT`, unpacked under `to`. Raises `UsageError` when it is not one of ours."""
    try:
        with gzip.open(file) as stream:
            content = _Bounded(stream)
            with tarfile.open(fileobj=cast("IO[bytes]", content), mode="r:") as tar:
                _extract(tar, to)
            content.check_end()
            # Up to its end: there are the length and checksum that show whether it is whole.
            while stream.read(_AT_ONCE):
                content.tell()
    # Loops of links and headers within headers without end are RuntimeErrors.
    except (tarfile.TarError, EOFError, OSError, ValueError, RuntimeError) as error:
        raise UsageError(f"{file}: not an archive of trees: {error}") from None
    sides = sorted(path.parent for path in to.glob("*/*/a"))
    yield {str(path.relative_to(to)): Tree(path / "a", path / "b", 2) for path in sides if os.path.lexists(path / "b")}


class _Bounded:
    """A stream that is read forward, up to a limit, in small pieces: so much memory and time an archive may cost."""

    def __init__(self, stream: gzip.GzipFile) -> None:
        self._stream = stream
        self._last = b""

    def read(self, size: int) -> bytes:
        if not 0 <= size <= _AT_ONCE:
            raise ValueError("it has a header that is too large")
        self._last = self._stream.read(size)
        self.tell()
        return self._last

    def check_end(self) -> None:
        """Was the last thing read an archive's end? To tarfile a header that it cannot read is one as well."""
        if self._last.strip(b"\0") or not self._last:
            raise ValueError("it does not end where an archive ends")

    def seek(self, offset: int) -> int:
        # tarfile goes back by a byte to see whether the last one is there.
        if not self.tell() - 1 <= offset <= READ_LIMIT:
            raise ValueError("it has sizes that cannot be")
        return self._stream.seek(offset)

    def tell(self) -> int:
        if (position := self._stream.tell()) > READ_LIMIT:
            raise ValueError("it holds more than is unpacked")
        return position


def _extract(tar: tarfile.TarFile, to: Path) -> None:
    """Files, directories and links, each in a directory that was made here: below `to` whatever its name says, and
    never through a link."""
    made: set[tuple[str, ...]] = set()
    for number, member in enumerate(tar):
        parts = PurePosixPath(member.name).parts
        # NAME/OUTPUT/{a,b}: what is above a tree is ours to make, and no link.
        if (
            number >= ENTRIES
            or not 3 <= len(parts) <= DEPTH
            or parts[2] not in ("a", "b")
            or parts[0] == "/"
            or ".." in parts
        ):
            raise ValueError(f"{member.name!r} is not a place for a tree")
        if parts[:2] not in made:
            to.joinpath(*parts[:2]).mkdir(parents=True)
            made.add(parts[:2])
        if parts[:-1] not in made:
            raise ValueError(f"{member.name!r} is in no directory")
        place = to.joinpath(*parts)
        if member.isdir():
            place.mkdir()
            made.add(parts)
        elif member.issym():
            place.symlink_to(member.linkname)
        elif member.isreg() and not member.issparse() and member.size >= 0:
            source = tar.extractfile(member)
            assert source is not None
            with source, place.open("xb") as target:
                shutil.copyfileobj(source, target)
            place.chmod(0o755 if member.mode & 0o100 else 0o644)
        else:
            raise ValueError(f"{member.name!r} is neither file, directory nor link")
