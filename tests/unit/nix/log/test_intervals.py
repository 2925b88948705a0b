from __future__ import annotations

import itertools
import random

from hypothesis import given
from hypothesis import strategies as st

from nix_repro.nix.log.intervals import covered, union

# Whole numbers, so that the sums are exact.
INTERVALS = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), max_size=20)


@given(INTERVALS)
def test_covered_is_the_number_of_seconds_in_which_something_ran(intervals: list[tuple[int, int]]) -> None:
    assert covered(intervals) == len({second for start, stop in intervals for second in range(start, stop)})


@given(INTERVALS)
def test_a_union_is_in_order_and_its_parts_do_not_touch(intervals: list[tuple[int, int]]) -> None:
    merged = union(intervals)
    assert all(start < stop for start, stop in merged)
    assert all(before[1] < after[0] for before, after in itertools.pairwise(merged))
    assert union(merged) == merged


@given(INTERVALS, st.randoms())
def test_the_order_does_not_matter(intervals: list[tuple[int, int]], chance: random.Random) -> None:
    shuffled = intervals.copy()
    chance.shuffle(shuffled)
    assert union(shuffled) == union(intervals)


def test_nothing_covers_nothing() -> None:
    assert covered([]) == 0
    assert covered([(5.0, 5.0), (7.0, 6.0)]) == 0
