"""Copies of store paths under a directory that we own."""

from __future__ import annotations

import shutil
from os import PathLike
from pathlib import Path


def copy_tree(source: str | PathLike[str], to: Path) -> None:
    """Copy a file, link or directory with its links and executable bits, writable for us so that it can be removed.

    Names are bytes to the system, whatever encoding they are in.
    """
    source = Path(source)
    to.parent.mkdir(parents=True, exist_ok=True)
    if source.is_symlink() or not source.is_dir():
        shutil.copyfile(source, to, follow_symlinks=False)
        _mode(source, to)
        return
    to.mkdir()
    for entry in source.iterdir():
        copy_tree(entry, to / entry.name)


def _mode(source: Path, to: Path) -> None:
    if not source.is_symlink():
        to.chmod(0o755 if source.stat().st_mode & 0o100 else 0o644)
