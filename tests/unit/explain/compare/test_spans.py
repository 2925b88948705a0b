"""Where two sides differ: every place, and nothing but."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from nix_repro.explain.budget import Budget
from nix_repro.explain.compare.blob import MemoryBlob
from nix_repro.explain.compare.spans import common_prefix, differing_spans, first_difference


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
