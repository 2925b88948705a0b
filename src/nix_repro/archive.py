"""Both sides of what differs in one archive, so that they travel.

An archive, not a directory: what uploads artifacts follows symbolic links, so that a hostile link would carry a file of
the runner along, and refuses names that are fine in a store path. Reading one back trusts nothing in it.
"""

from __future__ import annotations

import os
import shutil
import stat
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from nix_repro.errors import UsageError
from nix_repro.observe import Tree

NAME = "trees.tar.gz"
#: Bytes of all files in an archive, before compression: an artifact that nobody downloads explains nothing.
LIMIT = 256 << 20
#: Bytes that are read back from an archive, and entries.
READ_LIMIT, ENTRIES = 2 << 30, 500_000


def write_trees(file: Path, trees: Mapping[str, Tree], limit: int = LIMIT) -> list[str]:
    """Pack `NAME/OUTPUT/{a,b}` for each tree while there is room; returns the names of those that there was none for.

    Raises `UsageError` when the file cannot be written.
    """
    left_out: list[str] = []
    partial = file.with_name(f".{file.name}.partial")
    try:
        with tarfile.open(partial, "w:gz", format=tarfile.PAX_FORMAT, compresslevel=1) as tar:
            for name, tree in trees.items():
                size = _size(tree.a) + _size(tree.b)
                if size > limit:
                    left_out.append(name)
                    continue
                limit -= size
                for side, source in (("a", tree.a), ("b", tree.b)):
                    _add(tar, source, f"{name}/{side}")
        partial.replace(file)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise UsageError(f"{file}: cannot be written: {error.strerror}") from None
    return left_out


@contextmanager
def unpacked(file: Path, to: Path) -> Iterator[dict[str, Tree]]:
    """The trees of an archive by `NAME/OUTPUT`, unpacked under `to`. Raises `UsageError` when it is not one of ours."""
    try:
        with tarfile.open(file, "r:gz") as tar:
            _extract(tar, to)
    except (tarfile.TarError, EOFError, OSError, ValueError) as error:
        raise UsageError(f"{file}: not an archive of trees: {error}") from None
    sides = sorted(path.parent for path in to.glob("*/*/a"))
    yield {str(path.relative_to(to)): Tree(path / "a", path / "b", 2) for path in sides if os.path.lexists(path / "b")}


def _extract(tar: tarfile.TarFile, to: Path) -> None:
    """Files, directories and links, each below `to` whatever its name says, and never through a link."""
    root = to.resolve()
    room = READ_LIMIT
    for number, member in enumerate(tar):
        place = to / member.name
        if (
            number >= ENTRIES
            or ".." in place.parts
            or member.name.startswith("/")
            or place.parent.resolve() != root / Path(member.name).parent
        ):
            raise ValueError(f"{member.name!r} is not a place for a tree")
        room -= member.size
        if room < 0:
            raise ValueError("it holds more than is unpacked")
        place.parent.mkdir(parents=True, exist_ok=True)
        if member.isdir():
            place.mkdir(exist_ok=True)
        elif member.issym():
            place.symlink_to(member.linkname)
        elif member.isreg():
            source = tar.extractfile(member)
            assert source is not None
            with source, place.open("xb") as target:
                shutil.copyfileobj(source, target)
            place.chmod(0o755 if member.mode & 0o100 else 0o644)
        else:
            raise ValueError(f"{member.name!r} is neither file, directory nor link")


def _add(tar: tarfile.TarFile, source: Path, name: str) -> None:
    """Only what a NAR holds. Hard links, with which stores save space, become files again."""
    info = tarfile.TarInfo(name)
    info.mtime = 1
    status = source.lstat()
    if stat.S_ISLNK(status.st_mode):
        info.type, info.linkname = tarfile.SYMTYPE, os.readlink(source)
        tar.addfile(info)
    elif stat.S_ISDIR(status.st_mode):
        info.type, info.mode = tarfile.DIRTYPE, 0o755
        tar.addfile(info)
        for entry in sorted(os.listdir(source)):
            _add(tar, source / entry, f"{name}/{entry}")
    else:
        info.size, info.mode = status.st_size, 0o755 if status.st_mode & 0o100 else 0o644
        with source.open("rb") as file:
            tar.addfile(info, file)


def _size(tree: Path) -> int:
    if tree.is_symlink() or not tree.is_dir():
        return tree.lstat().st_size
    return sum(_size(Path(entry.path)) for entry in os.scandir(tree))
