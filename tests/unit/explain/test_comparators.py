"""Properties of the comparison that hold for any trees."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from nix_repro.explain.budget import Budget
from nix_repro.explain.causes import RULES, explain_pair
from nix_repro.explain.causes.model import Pair
from nix_repro.explain.compare.blob import MemoryBlob
from nix_repro.explain.compare.spans import common_prefix, differing_spans, first_difference
from nix_repro.explain.engine import explain_output
from sides import BUILDS, make

data = st.binary(max_size=300) | st.text(max_size=200).map(str.encode)
trees = st.dictionaries(st.sampled_from(["a", "b.gz", "c.txt", "d/e", "d/f-123", "d/f-456", "bin/x"]), data, max_size=6)


def explain(a: dict[str, bytes], b: dict[str, bytes]) -> list[tuple[str, str, str | None]]:
    with tempfile.TemporaryDirectory() as name:
        left, right = make(Path(name) / "a", a), make(Path(name) / "b", b)
        return [(item.path, item.cause, item.a) for item in explain_output("out", left, right, BUILDS)]


@settings(max_examples=60, deadline=None)
@given(trees)
def test_a_tree_does_not_differ_from_its_copy(tree: dict[str, bytes]) -> None:
    assert explain(tree, dict(tree)) == []


@settings(max_examples=150, deadline=None)
@given(trees, trees)
def test_something_is_found_exactly_when_trees_differ(a: dict[str, bytes], b: dict[str, bytes]) -> None:
    assert bool(explain(a, b)) == (a != b)


@settings(max_examples=100, deadline=None)
@given(trees, st.sampled_from(["a", "c.txt", "d/e"]), data, data)
def test_the_file_that_differs_is_named(tree: dict[str, bytes], name: str, one: bytes, other: bytes) -> None:
    found = explain({**tree, name: one}, {**tree, name: other})
    assert {path.split("!")[0] for path, _, _ in found} == ({name} if one != other else set())


@given(st.binary(max_size=500), st.binary(max_size=500))
def test_first_difference_is_the_first(a: bytes, b: bytes) -> None:
    naive = next(
        (at for at, (x, y) in enumerate(zip(a, b, strict=False)) if x != y),
        None if len(a) == len(b) else min(len(a), len(b)),
    )
    assert first_difference(MemoryBlob(a), MemoryBlob(b), Budget()) == naive
    assert common_prefix(a, b) == (naive if naive is not None else len(a))


@given(st.binary(min_size=1, max_size=400), st.data())
def test_spans_cover_every_difference_and_begin_and_end_in_one(a: bytes, draw: st.DataObject) -> None:
    b = bytearray(a)
    for at in draw.draw(st.lists(st.integers(0, len(a) - 1), max_size=20)):
        b[at] ^= 0x55
    spans = differing_spans(a, bytes(b), 100)
    covered = {at for start, end in spans for at in range(start, end)}
    assert {at for at in range(len(a)) if a[at] != b[at]} <= covered
    assert all(a[start] != b[start] and a[end - 1] != b[end - 1] for start, end in spans)


@settings(max_examples=300, deadline=None)
@given(data, data, st.booleans())
def test_rules_point_into_the_pair_they_were_given(a: bytes, b: bytes, text: bool) -> None:
    found, _ = explain_pair(Pair(a, b, 0, text), BUILDS, RULES)
    for match, _ in found:
        for (start_a, end_a), (start_b, end_b) in match.places:
            assert 0 <= start_a <= end_a <= len(a)
            assert 0 <= start_b <= end_b <= len(b)
