"""Taking store paths away and bringing them elsewhere: in which order, and what of it Nix refuses."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence

from nix_repro.nix.command import Nix, NixError
from nix_repro.nix.derivation import PathInfo
from nix_repro.nix.graph import ordered

#: Options of `nix copy`: signed or not, without what the paths refer to, and from nowhere else.
AS_IT_IS = ("--no-check-sigs", "--no-recursive", "--option", "substitute", "false")
_ALIVE = re.compile(r"[Cc]annot delete path '([^']+)'")


def to_delete(targets: Iterable[str], referrers: Iterable[str], ours: Collection[str]) -> list[str]:
    """These paths, and what is in the way of deleting them: of what refers to them, this run's own and .drv files. For
    Nix writes one, with the places filled in, where it builds from what is content-addressed."""
    return sorted({*targets, *(path for path in referrers if path in ours or path.endswith(".drv"))})


def delete(nix: Nix, doomed: Collection[str]) -> set[str]:
    """Delete in one call; paths that are alive keep everything below them alive and are returned with it."""
    stuck: set[str] = set()
    while rest := left(doomed, stuck | nix.invalid(doomed)):
        try:
            nix.delete(rest)
        except NixError as error:
            alive = in_the_way(str(error))
            if alive is None or alive in stuck:
                raise
            stuck |= {alive, *nix.requisites([alive])}
        else:
            break
    return stuck


def left(doomed: Iterable[str], out: Collection[str]) -> list[str]:
    """What is still to be deleted: not what is gone or cannot be."""
    return [path for path in doomed if path not in out]


def in_the_way(words: str) -> str | None:
    """The path that Nix did not delete because it is in use, as far as it names one."""
    found = _ALIVE.search(words)
    return found[1] if found else None


def copy(nix: Nix, turns: Iterable[Sequence[str]], *where: str) -> None:
    """Copy valid paths between stores as they are, turn by turn (see `in_turns`). `where` is `--to` or `--from` with
    the URL of the other one. Raises `NixError`."""
    for turn in turns:
        itself = ("--derivation",) if turn[0].endswith(".drv") else ()
        nix.run("nix", "copy", *where, *AS_IT_IS, *itself, paths=turn)


def in_turns(infos: Mapping[str, PathInfo]) -> list[list[str]]:
    """The paths in groups, each of .drv files only or of none, such that all that a path refers to is in its own group
    or in one before: `nix copy` is told for all of its paths at once which of the two they are."""
    turn: dict[str, int] = {}
    for path in ordered(infos, lambda path: infos[path].references):
        drv = path.endswith(".drv")
        below = [turn[ref] + (ref.endswith(".drv") != drv) for ref in infos[path].references if ref in turn]
        turn[path] = max([int(drv), *below])
    groups: dict[int, list[str]] = {}
    for path, number in turn.items():
        groups.setdefault(number, []).append(path)
    return [groups[number] for number in sorted(groups)]
