"""Intervals of time → seconds. Activities overlap, so how long something took comes from the union of intervals, never
from sums."""

from __future__ import annotations

from collections.abc import Iterable

Interval = tuple[float, float]


def union(intervals: Iterable[Interval]) -> list[Interval]:
    """The intervals merged where they touch, in order."""
    merged: list[Interval] = []
    for start, stop in sorted(i for i in intervals if i[1] > i[0]):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], stop))
        else:
            merged.append((start, stop))
    return merged


def covered(intervals: Iterable[Interval]) -> float:
    """Seconds during which at least one of the intervals was running."""
    return sum(stop - start for start, stop in union(intervals))
