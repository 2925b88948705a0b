"""Units of both sides (lines, words, strings, records) compared by their order: which changed places, and how many had
to."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from nix_repro.explain.causes.model import Bounds

#: A unit and where it is.
Unit = tuple[bytes, Bounds]
#: Units whose every pair is looked at.
MANY = 20_000


@dataclass(frozen=True)
class Permutation:
    """`a` and `b` are the units that either side has exactly once, from the first to the last that changed places.
    What stays together counts as one of `blocks`; at least `fewest` of them were moved. `disorder` is the share of
    pairs of blocks whose order differs: 0 for none, about one half for a shuffle, 1 for the reverse."""

    a: Sequence[bytes]
    b: Sequence[bytes]
    blocks: int
    fewest: int
    disorder: float


def permutation(a: Sequence[bytes], b: Sequence[bytes]) -> Permutation | None:
    """The order of the units that both sides have, and have once: of others nobody can say which went where. Null
    when they are in the same order."""
    left, right = once_each(a, b)
    changed = [index for index, (x, y) in enumerate(zip(left, right, strict=True)) if x != y]
    if not changed:
        return None
    left, right = left[changed[0] : changed[-1] + 1], right[changed[0] : changed[-1] + 1]
    where = {unit: index for index, unit in enumerate(right)}
    ranks = [where[unit] for unit in left]
    heads = [rank for index, rank in enumerate(ranks) if not index or rank != ranks[index - 1] + 1]
    return Permutation(left, right, len(heads), len(heads) - _longest_ascent(heads), _disorder(heads[:MANY]))


def once_each(a: Sequence[bytes], b: Sequence[bytes]) -> tuple[list[bytes], list[bytes]]:
    """What is exactly once on either side, in the order of each."""
    counts = Counter(a), Counter(b)
    return (
        [unit for unit in a if counts[0][unit] == counts[1][unit] == 1],
        [unit for unit in b if counts[0][unit] == counts[1][unit] == 1],
    )


def moved(a: Sequence[Unit], b: Sequence[Unit]) -> list[tuple[Bounds, Bounds]]:
    """The places, in order, where the sides have different ones of the same units."""
    return [(x[1], y[1]) for x, y in zip(a, b, strict=True) if x[0] != y[0]]


def _longest_ascent(ranks: Sequence[int]) -> int:
    """How many can stay where they are while the others move around them."""
    ends: list[int] = []
    for rank in ranks:
        at = bisect_left(ends, rank)
        ends[at : at + 1] = [rank]
    return len(ends)


def _disorder(ranks: Sequence[int]) -> float:
    seen: list[int] = []
    swapped = 0
    for rank in ranks:
        swapped += len(seen) - bisect_left(seen, rank)
        insort(seen, rank)
    return swapped / max(1, len(ranks) * (len(ranks) - 1) // 2)
