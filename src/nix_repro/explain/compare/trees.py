"""Two file system trees, compared as a NAR sees them: kinds, executable bits, link targets, entries and contents.

Owners, modification times and other permission bits do not count. Nothing is followed, and nothing but regular files
is opened, so that a hostile tree costs no more than the budget.
"""

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Generator, Iterator
from functools import partial

from nix_repro.explain import printable
from nix_repro.explain.budget import Budget
from nix_repro.explain.compare.blob import open_file
from nix_repro.explain.compare.difference import Difference, DifferenceKind
from nix_repro.explain.compare.likeness import alike
from nix_repro.explain.compare.members import compare_contents
from nix_repro.explain.compare.names import VARIABLE, renames

KINDS = {stat.S_IFREG: b"file", stat.S_IFDIR: b"directory", stat.S_IFLNK: b"symlink"}


def compare_trees(a: bytes, b: bytes, budget: Budget) -> Iterator[Difference]:
    """Every difference between the trees at `a` and `b`, in the order of names, until the budget is spent."""
    waiting: list[tuple[bytes, bytes, bytes]] = [(a, b, b"")]
    while waiting and not budget.expired():
        left, right, path = waiting.pop()
        shown = printable.name(path)
        try:
            here = os.lstat(left), os.lstat(right)
        except OSError as error:
            yield _unreadable(shown, error)
            continue
        kinds = stat.S_IFMT(here[0].st_mode), stat.S_IFMT(here[1].st_mode)
        if kinds[0] != kinds[1]:
            yield Difference(shown, "kind", _kind(kinds[0]), _kind(kinds[1]))
            continue
        try:
            if stat.S_ISDIR(kinds[0]):
                below = _names(left, budget), _names(right, budget)
                pairs = yield from _entries(below, path, (left, right))
                waiting.extend(
                    (left + b"/" + name_a, right + b"/" + name_b, (path + b"/" if path else b"") + name_a)
                    for name_a, name_b in reversed(pairs)
                )
            elif stat.S_ISLNK(kinds[0]):
                targets = os.readlink(left), os.readlink(right)
                if targets[0] != targets[1]:
                    yield Difference(shown, "target", *targets)
            elif stat.S_ISREG(kinds[0]):
                yield from _files(left, right, shown, here, budget)
        except OSError as error:
            yield _unreadable(shown, error)


def _names(path: bytes, budget: Budget) -> list[bytes]:
    names = []
    with os.scandir(path) as entries:
        for entry in entries:
            if budget.entries <= 0:
                budget.say("the trees have more entries than are compared")
                break
            budget.entries -= 1
            names.append(entry.name)
    return sorted(names)


def _entries(
    names: tuple[list[bytes], list[bytes]], path: bytes, within: tuple[bytes, bytes]
) -> Generator[Difference, None, list[tuple[bytes, bytes]]]:
    """Yields what is missing, extra or renamed in a directory; returns the pairs of names to compare further."""
    right = set(names[1])
    common = set(names[0]) & right
    missing, extra = (
        [name for name in names[0] if name not in common],
        [name for name in names[1] if name not in common],
    )
    renamed = renames(missing, extra, pairing=partial(alike, *within))
    prefix = path + b"/" if path else b""
    # With their directories where these have another name too: an object store's names are digests in two parts.
    above = [b"/".join(side.split(b"/")[-2:]) + b"/" for side in within] if path and _base(within) else [b"", b""]
    for old, new in renamed:
        yield Difference(printable.name(prefix + old), "name", above[0] + old, above[1] + new)
    gone, come = {old for old, _ in renamed}, {new for _, new in renamed}
    shapes = [Counter(VARIABLE.sub(b"*", name) for name in side) for side in names]
    groups: tuple[tuple[DifferenceKind, list[bytes]], ...] = (
        ("missing", [name for name in missing if name not in gone]),
        ("extra", [name for name in extra if name not in come]),
    )
    for kind, lonely in groups:
        for name in lonely:
            shape = VARIABLE.sub(b"*", name)
            counts = [str(side[shape]).encode() if b"*" in shape else b"" for side in shapes]
            yield Difference(printable.name(prefix + name), kind, counts[0], counts[1])
    return sorted([(name, name) for name in common] + renamed)


def _base(within: tuple[bytes, bytes]) -> bool:
    """Have the two directories another name?"""
    return within[0].rpartition(b"/")[2] != within[1].rpartition(b"/")[2]


def _files(
    left: bytes, right: bytes, shown: str, here: tuple[os.stat_result, os.stat_result], budget: Budget
) -> Iterator[Difference]:
    bits = bool(here[0].st_mode & stat.S_IXUSR), bool(here[1].st_mode & stat.S_IXUSR)
    if bits[0] != bits[1]:
        words = {True: b"executable", False: b"not executable"}
        yield Difference(shown, "executable", words[bits[0]], words[bits[1]])
    if os.path.samestat(*here):
        return
    with open_file(left) as blob_a, open_file(right) as blob_b:
        yield from compare_contents(shown, blob_a, blob_b, budget)


def _kind(mode: int) -> bytes:
    return KINDS.get(mode, b"special file")


def _unreadable(path: str, error: OSError) -> Difference:
    return Difference(path, "unreadable", (error.strerror or "unreadable").encode())
