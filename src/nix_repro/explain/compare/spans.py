"""Where two blobs differ: streaming, bounded, without reading either into memory."""

from __future__ import annotations

from typing import NamedTuple

from nix_repro.explain.budget import Budget
from nix_repro.explain.compare.blob import CHUNK, Blob, FileBlob

#: Differing bytes closer than this belong to one span: a value's bytes do not all differ.
GAP = 8


class Span(NamedTuple):
    start: int
    end: int


def first_difference(a: Blob, b: Blob, budget: Budget, offset: int = 0) -> int | None:
    """The first offset at which the blobs differ, or null when they are equal. A shorter blob differs where it ends."""
    common = min(a.size, b.size)
    while offset < common:
        if budget.expired():
            return None
        if isinstance(a, FileBlob) and isinstance(b, FileBlob):
            offset = min(a.next_data(offset), b.next_data(offset), common)
        left, right = a.read(offset, CHUNK), b.read(offset, CHUNK)
        if left != right:
            shared = min(len(left), len(right))
            return offset + common_prefix(left[:shared], right[:shared])
        if not left:
            break
        offset += len(left)
    return None if a.size == b.size else common


def common_prefix(a: bytes, b: bytes) -> int:
    """How many leading bytes are equal: by halves, since comparing slices is what Python does fast."""
    low, high = 0, min(len(a), len(b))
    if a[:high] == b[:high]:
        return high
    while low + 1 < high:
        middle = (low + high) // 2
        if a[low:middle] == b[low:middle]:
            low = middle
        else:
            high = middle
    return low


def common_suffix(a: bytes, b: bytes) -> int:
    return common_prefix(a[::-1], b[::-1])


def differing_spans(a: bytes, b: bytes, limit: int) -> list[Span]:
    """Spans of differing bytes within the length that both have, nearby ones merged, at most `limit` of them."""
    spans: list[Span] = []
    position, end = 0, min(len(a), len(b))
    while position < end:
        step = common_prefix(a[position : position + 4096], b[position : position + 4096])
        position += step
        if step == 4096 or position >= end:
            continue
        start = position
        last = position
        while position < end and position - last <= GAP:
            if a[position] != b[position]:
                last = position
            position += 1
        spans.append(Span(start, last + 1))
        if len(spans) >= limit:
            break
    return spans
