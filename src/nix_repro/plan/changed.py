"""Which files differ: between two revisions of the checkout, or between two sources in the store."""

from __future__ import annotations

import filecmp
import os
from pathlib import Path

from nix_repro.nix.checkout import git
from nix_repro.nix.store_path import StorePath

#: Files compared of one pair of sources.
_FILES = 20_000


def changed_files(root: Path, sha: str, prefix: str) -> frozenset[str] | None:
    """The tracked files that differ, as seen from the flake's directory."""
    text = git(root, "diff", "--name-only", "-z", "--no-renames", sha, "--")
    if text is None:
        return None
    start = "" if prefix == "." else f"{prefix}/"
    return frozenset(name.removeprefix(start) for name in text.split("\0") if name and name.startswith(start))


def differing_files(old: str | None, new: str | None) -> list[str] | None:
    """The files that differ between two sources in the store, in order; None when one is not there, or they are too
    large."""
    if old is None or new is None:
        return None
    a, b = Path(old), Path(new)
    if not (os.path.lexists(a) and os.path.lexists(b)):
        return None
    if not (a.is_dir() and b.is_dir()):
        return [StorePath.of(new).name]
    left, right = _listing(a), _listing(b)
    if left is None or right is None:
        return None
    differing = left.keys() ^ right.keys()
    for name in left.keys() & right.keys():
        if left[name] != right[name] or (
            not (a / name).is_symlink() and not filecmp.cmp(a / name, b / name, shallow=False)
        ):
            differing.add(name)
    # A name need not be text, and the report must.
    return sorted(os.fsencode(name).decode("utf-8", "replace") for name in differing)


def _listing(top: Path) -> dict[str, str] | None:
    """Every file below a directory: its kind, with a link's target. None when there are too many."""
    found: dict[str, str] = {}
    waiting = [""]
    while waiting:
        below = waiting.pop()
        with os.scandir(top / below) as entries:
            for entry in entries:
                name = f"{below}{entry.name}"
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(f"{name}/")
                elif entry.is_symlink():
                    found[name] = f"link to {os.readlink(entry)}"
                else:
                    found[name] = "program" if os.access(entry, os.X_OK) else "file"
        if len(found) + len(waiting) > _FILES:
            return None
    return found
