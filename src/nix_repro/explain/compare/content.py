"""What differs in a leaf: pairs of lines for text, of strings and stretches for binary data. Bounded by what is
read."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from difflib import SequenceMatcher
from typing import NamedTuple

from nix_repro.explain.budget import Budget
from nix_repro.explain.causes.model import Bounds, Pair
from nix_repro.explain.compare.blob import CHUNK, Blob
from nix_repro.explain.compare.spans import GAP, Span, common_prefix, differing_spans, first_difference

#: Bytes of each side that are looked at from the first difference on.
REGION = 2 << 20
#: Bytes of a pair that rules see.
PIECE = 16 << 10
#: What is said of a longer one.
LONG = f"of long places that differ, the first {PIECE >> 10} KiB are looked at"
#: Bytes of what surrounds the difference in it.
AROUND = 160
#: Bytes on either side of it that are kept of binary data: those of a value may be equal but for one.
BESIDE = 24
#: Bytes of equal text kept around what differs: whether a few lines changed places or all shows beside those that did
#: not.
KEPT = 4096
#: Lines of either side that are told apart by their order.
MANY_LINES = 4000
#: Places looked at in a pair of binary files.
SPANS = 128
STRING = re.compile(rb"[\t\x20-\x7e\x80-\xff]{4,}")
PRINTABLE = re.compile(rb"[\t\x20-\x7e]*\Z")
VARIABLE = re.compile(rb"[0-9A-Fa-f]+")


def region(a: Blob, b: Blob, first: int, budget: Budget) -> Pair:
    """The same part of both sides, from a little before the first difference on."""
    start = max(0, first - KEPT)
    left, right = a.read(start, REGION), b.read(start, REGION)
    if max(a.size, b.size) - start > REGION:
        budget.say("of files that differ, the first 2 MiB from the first difference on are looked at")
    text = is_text(left) and is_text(right)
    shared = left[: first - start]
    skip = (shared.find(b"\n") + 1 if start else 0) if text else max(0, len(shared) - 64)
    if text and not skip and start:
        skip = max(0, len(shared) - AROUND)
    left, right = left[skip:], right[skip:]
    keep = _common_end(left, right, text)
    return Pair(left[: len(left) - keep], right[: len(right) - keep], start + skip, text)


def _common_end(left: bytes, right: bytes, text: bool) -> int:
    """How much to leave off the end of both: whole lines of text that are equal, but for some; nothing of binary
    data."""
    if not text:
        return 0
    equal = common_prefix(left[::-1], right[::-1]) - KEPT
    if equal <= 0:
        return 0
    tail = left[len(left) - equal :]
    line = tail.find(b"\n")
    return len(tail) - line if line >= 0 else 0


def is_text(data: bytes) -> bool:
    sample = data[: 64 << 10]
    if b"\0" in sample:
        return False
    try:
        sample.decode()
        odd = sum(map(sample.count, (bytes([code]) for code in range(1, 9))))
        return odd * 50 <= len(sample)
    except UnicodeDecodeError as error:
        if error.start >= len(sample) - 4:
            return True
    printable = sum(1 for byte in sample if byte >= 0x20 or byte in b"\t\n\r\f\x1b") / max(1, len(sample))
    ascii_share = sum(1 for byte in sample if 0x20 <= byte < 0x7F or byte in b"\t\n\r") / max(1, len(sample))
    return printable > 0.97 and ascii_share > 0.8


class Aligned(NamedTuple):
    """Lines of both sides that correspond and differ; those that both have, and have once, each with where it is, in
    the order of either side; how many have no partner; and where those are, on either side of the region, that only
    that side has."""

    pairs: list[Pair]
    common: tuple[list[tuple[bytes, Bounds]], list[tuple[bytes, Bounds]]]
    alone: int
    places: tuple[list[Bounds], list[Bounds]]


def align(part: Pair, budget: Budget) -> Aligned:
    """Text by its lines; binary data of unequal length by the strings in it."""
    pattern = re.compile(rb"[^\n]+") if part.text else STRING
    lines = [[(match.start(), match[0]) for match in pattern.finditer(data)] for data in (part.a, part.b)]
    counts = [Counter(line for _, line in side) for side in lines]
    surplus = [counts[0] - counts[1], counts[1] - counts[0]]
    only: list[list[tuple[int, bytes]]] = [[], []]
    common: list[list[tuple[bytes, Bounds]]] = [[], []]
    for side in (0, 1):
        for offset, line in lines[side]:
            if surplus[side][line] > 0:
                surplus[side][line] -= 1
                only[side].append((offset, line))
            elif counts[0][line] == counts[1][line] == 1:
                common[side].append((line, (offset, offset + len(line))))
    chosen = _matched(only[0][:MANY_LINES], only[1][:MANY_LINES])
    pairs = [clip(Pair(left, right, part.offset + offset), budget) for (offset, left), (_, right) in chosen]
    alone = len(only[0]) + len(only[1]) - 2 * len(pairs)
    places = [[(offset, offset + len(line)) for offset, line in side] for side in only]
    return Aligned(pairs, (common[0], common[1]), alone, (places[0], places[1]))


def _matched(
    a: list[tuple[int, bytes]], b: list[tuple[int, bytes]]
) -> list[tuple[tuple[int, bytes], tuple[int, bytes]]]:
    if len(a) == len(b):
        return list(zip(a, b, strict=True))
    shapes_a, shapes_b = ([VARIABLE.sub(b"#", line) for _, line in side] for side in (a, b))
    chosen: list[tuple[tuple[int, bytes], tuple[int, bytes]]] = []
    for tag, start_a, end_a, start_b, end_b in SequenceMatcher(
        None, shapes_a, shapes_b, autojunk=len(a) + len(b) > 1000
    ).get_opcodes():
        if tag in ("equal", "replace"):
            chosen.extend(zip(a[start_a:end_a], b[start_b:end_b], strict=False))
    return chosen


def clip(pair: Pair, budget: Budget) -> Pair:
    """The pair cut to the difference and a little around it, when it is a very long line."""
    if max(len(pair.a), len(pair.b)) <= PIECE:
        return pair
    (start, end_a), (_, end_b) = pair.changed()
    first = max(0, start - AROUND)
    if max(end_a, end_b) > first + PIECE:
        budget.say(LONG)
    return Pair(
        pair.a[first : min(end_a + AROUND, first + PIECE)],
        pair.b[first : min(end_b + AROUND, first + PIECE)],
        pair.offset + first,
        pair.text,
    )


def stretches(a: Blob, b: Blob, first: int, budget: Budget) -> Iterator[Pair]:
    """Pairs for the differing spans of binary data of equal length: the string around a span, or its bytes and a few
    around them."""
    count = 0
    offset: int | None = first
    while offset is not None and count < SPANS:
        window = max(0, offset - 256)
        left, right = a.read(window, CHUNK // 4), b.read(window, CHUNK // 4)
        spans = [span for span in differing_spans(left, right, SPANS - count) if span.end + window > offset]
        for span in spans:
            stretch = _stretch(left, right, span, window)
            if stretch.offset + len(stretch.a) < window + span.end:
                budget.say(LONG)
            yield stretch
        count += len(spans)
        reached = window + (spans[-1].end + GAP if count >= SPANS else len(left))
        offset = first_difference(a, b, budget, reached)
    if count >= SPANS and offset is not None:
        budget.say(f"of binary files that differ, the first {SPANS} places are looked at")


def _stretch(left: bytes, right: bytes, span: Span, window: int) -> Pair:
    start, end = span
    if all(PRINTABLE.match(side, start, end) for side in (left, right)):
        while start > 0 and span.start - start < AROUND and _shown(left[start - 1]):
            start -= 1
        while end < len(left) and end - span.end < AROUND and _shown(left[end]) and _shown(right[end]):
            end += 1
        if end - start >= 6:
            return Pair(left[start:end], right[start:end], window + start)
    first, last = max(0, span.start - BESIDE), min(len(left), span.end + BESIDE, span.start + PIECE)
    while first > 0 and span.start - first < AROUND and _shown(left[first - 1]) and _shown(left[first]):
        first -= 1
    return Pair(left[first:last], right[first:last], window + first, text=False)


def _shown(byte: int) -> bool:
    return 0x20 <= byte < 0x7F or byte == 9


def is_shown(data: bytes) -> bool:
    """Is it printable ASCII, with no line break?"""
    return PRINTABLE.match(data) is not None
