"""What a garbage collection would keep, without asking Nix's collector: even `nix-store --gc --print-roots` deletes the
roots whose links are gone at the moment, such as those on a disk that is not mounted (seen on 2.8, 2.26 and 2.34).

Not seen are the paths that running processes have open, and roots in directories that this user may not read.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from nix_repro.nix.derivation import PathInfo
from nix_repro.nix.store_path import containing


def roots(state: Path, store: str) -> set[str]:
    """The store paths that the links below `gcroots` and `profiles` of Nix's state directory lead to, directly or
    through a second link such as `result`."""
    found: set[str] = set()
    for link in _links(state / "gcroots", state / "profiles"):
        target = _target(link)
        if containing(target, store) is None and os.path.islink(target):
            target = _target(target)
        if (path := containing(target, store)) is not None:
            found.add(path)
    return found


def _links(*tops: Path) -> Iterator[str]:
    for top in tops:
        # What may not be read is passed over, and no link is followed.
        for directory, directories, files in os.walk(top):
            yield from (
                path for name in (*directories, *files) if os.path.islink(path := os.path.join(directory, name))
            )


def _target(link: str) -> str:
    try:
        return os.path.normpath(os.path.join(os.path.dirname(link), os.readlink(link)))
    except OSError:
        return ""


def live(
    infos: Mapping[str, PathInfo], start: Iterable[str], *, keep_derivations: bool, keep_outputs: bool
) -> set[str]:
    """Which of the valid paths a collection keeps: all that can be reached from the roots; derivers of what is kept,
    and outputs of the derivations that are, where Nix is set to keep them."""
    outputs: dict[str, list[str]] = {}
    for path, info in infos.items():
        if keep_outputs and info.deriver is not None:
            outputs.setdefault(info.deriver, []).append(path)
    found: set[str] = set()
    stack = list(start)
    while stack:
        path = stack.pop()
        if path in infos and path not in found:
            found.add(path)
            info = infos[path]
            stack += info.references
            stack += outputs.get(path, ())
            if keep_derivations and info.deriver is not None:
                stack.append(info.deriver)
    return found
