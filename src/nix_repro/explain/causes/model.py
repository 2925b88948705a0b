"""What a rule sees and what it answers."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from nix_repro.explain.compare.spans import common_prefix, common_suffix
from nix_repro.explain.context import Context
from nix_repro.report import Cause, Confidence

#: Takes the place of bytes that a rule has explained, so that the next rule sees what is left.
EXPLAINED = b"\x1a"

#: Where something in a piece starts and where it has ended.
Bounds = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Pair:
    """Corresponding pieces of both sides that differ: a line, a block of lines, or a stretch of binary data.

    `offset` is where the piece starts on side a. Explained bytes are replaced by EXPLAINED in either piece.
    """

    a: bytes
    b: bytes
    offset: int
    text: bool = True

    def changed(self) -> tuple[Bounds, Bounds]:
        """The region that differs on either side: what a common beginning and end leave over."""
        shortest = min(len(self.a), len(self.b))
        start = common_prefix(self.a[:shortest], self.b[:shortest])
        rest = shortest - start
        tail = common_suffix(self.a[len(self.a) - rest :], self.b[len(self.b) - rest :]) if rest else 0
        return (start, len(self.a) - tail), (start, len(self.b) - tail)


@dataclass(frozen=True, slots=True)
class Match:
    """A rule's answer: the cause of the differences at `places` (spans on side a and b, in corresponding order).

    An `opaque` token may be a digest or a size of something else that differs. `form` picks the fix.
    """

    cause: Cause
    confidence: Confidence
    because: str
    places: Sequence[tuple[Bounds, Bounds]]
    form: str = ""
    opaque: bool = False


Rule = Callable[[Pair, Context], "Match | None"]


def decoded(pair: Pair) -> tuple[str, str]:
    """Both sides in one encoding, in which what differs in bytes differs in characters too."""
    try:
        return pair.a.decode(), pair.b.decode()
    except UnicodeDecodeError:
        return pair.a.decode("latin-1"), pair.b.decode("latin-1")


def erase(data: bytes, places: Sequence[Bounds]) -> bytes:
    """The piece with each place filled with EXPLAINED, offsets unchanged."""
    out = bytearray(data)
    for start, end in places:
        out[start:end] = EXPLAINED * (end - start)
    return bytes(out)


def left_over(data: bytes, places: Sequence[Bounds]) -> list[bytes]:
    """The pieces of it that no place covers, in order; places that touch are one."""
    pieces: list[bytes] = []
    reached = -1
    for start, end in sorted(places):
        if start > reached:
            pieces.append(data[max(0, reached) : start])
        reached = max(reached, end)
    return [*pieces, data[max(0, reached) :]]


def paired(pattern: re.Pattern[bytes], pair: Pair) -> list[tuple[re.Match[bytes], re.Match[bytes]]]:
    """The pattern's tokens on either side that differ, paired in order; when their numbers differ, those in the changed
    region only."""
    # Most patterns are nowhere in most pairs, and this is asked of every pattern for every pair.
    if not (a := list(pattern.finditer(pair.a))) or not (b := list(pattern.finditer(pair.b))):
        return []
    if len(a) != len(b):
        (start_a, end_a), (start_b, end_b) = pair.changed()
        a = [token for token in a if token.end() > start_a and token.start() < end_a]
        b = [token for token in b if token.end() > start_b and token.start() < end_b]
    return [(left, right) for left, right in zip(a, b, strict=True) if left[0] != right[0]] if len(a) == len(b) else []


def spans(tokens: Sequence[tuple[re.Match[bytes], re.Match[bytes]]]) -> list[tuple[Bounds, Bounds]]:
    return [(left.span(), right.span()) for left, right in tokens]
