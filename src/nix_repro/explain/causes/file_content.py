"""Why the content of a file differs: as a whole if one thing explains it, else line by line or stretch by stretch."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace
from operator import itemgetter

from nix_repro.explain.budget import Budget
from nix_repro.explain.causes.code import instruction_set
from nix_repro.explain.causes.evidence import MARGIN, Evidence, evidence_of
from nix_repro.explain.causes.locales import line_width
from nix_repro.explain.causes.model import Pair, Rule
from nix_repro.explain.causes.ordering import judge, ordering
from nix_repro.explain.causes.permutation import moved
from nix_repro.explain.causes.randomness import random_bytes
from nix_repro.explain.causes.rules import Explained, erased, explain_pair, settled
from nix_repro.explain.causes.timestamp import binary_timestamp, text_timestamp
from nix_repro.explain.compare.blob import Blob, MemoryBlob
from nix_repro.explain.compare.content import Region, align, region, stretches
from nix_repro.explain.compare.difference import Difference
from nix_repro.explain.context import Context

#: Where code is.
CODE = ("section .text",)
#: Bytes of it that are read.
CODE_READ = 4 << 20
BUILD_ID = ("section .note.gnu.build-id", "section .gnu_debuglink")


def from_content(difference: Difference, context: Context, rules: Sequence[Rule], budget: Budget) -> Iterator[Evidence]:
    """Evidence for each cause at work in the content, and one of unknown cause for what is left unexplained."""
    assert difference.blobs is not None
    a, b = difference.blobs
    if difference.inside.endswith(BUILD_ID):
        left, right = a.read(0, 64)[-20:], b.read(0, 64)[-20:]
        yield _build_id(left, right, context)
        return
    part = region(a, b, difference.first, budget)
    whole = Pair(part.a, part.b, part.offset, part.text)
    if (at_once := _at_once(difference, whole, context, rules)) is not None:
        yield from at_once
        return
    shuffled, rest = _shuffled(whole, context)
    yield from map(evidence_of, shuffled)
    if shuffled and settled(rest):
        return
    if part.text or a.size != b.size:
        part = part._replace(a=rest.a, b=rest.b)
        pairs, unexplained = yield from _by_line(part, whole, context, ordered=bool(shuffled))
    elif shuffled:
        others = stretches(MemoryBlob(rest.a), MemoryBlob(rest.b), 0, budget)
        pairs, unexplained = [replace(pair, offset=pair.offset + rest.offset) for pair in others], 0
    else:
        pairs, unexplained = list(stretches(a, b, difference.first, budget)), 0
    first = whole
    for pair in pairs:
        if budget.expired():
            break
        found, complete = explain_pair(pair, context, rules)
        if not complete and pair.text and not part.text and a.size == b.size:
            # A number's bytes may all be printable, by chance.
            as_bytes = explain_pair(_as_bytes(pair, a, b), context, rules)
            found, complete = max((found, complete), as_bytes, key=itemgetter(1))
        yield from map(evidence_of, found)
        if not complete:
            first = pair if not unexplained else first
            unexplained += 1
    if unexplained:
        yield _unexplained(first, unexplained)


def _by_line(
    part: Region, whole: Pair, context: Context, *, ordered: bool
) -> Generator[Evidence, None, tuple[list[Pair], int]]:
    """Yields what the order of lines explains, unless that was asked before (`ordered`), and what a binary's head
    does; returns the pairs of lines to explain, and how many lines have no partner."""
    lines = align(part)
    places = moved(*lines.common)
    if part.text and places and len(lines.common[0]) >= len(lines.pairs) + lines.alone:
        left, right = ([line for line, _ in side] for side in lines.common)
        if (match := judge(left, right, places, context)) is not None:
            yield evidence_of(Explained(match, whole))
    if not part.text:
        head = Pair(part.a[:128], part.b[:128], part.offset, text=False)
        if (match := binary_timestamp(head, context)) is not None:
            yield evidence_of(Explained(match, head))
    alone = lines.alone
    if not lines.pairs and not alone and not ordered and not places:
        alone = 1
    return lines.pairs, alone


def _unexplained(first: Pair, places: int) -> Evidence:
    (start, end), (_, end_b) = first.changed()
    begin = max(0, start - MARGIN)
    words = (
        f"{places} differing places have no cause that can be told from the two sides"
        if places > 1
        else "no cause can be told from the two sides"
    )
    a, b = first.a[begin : end + MARGIN], first.b[begin : end_b + MARGIN]
    return Evidence("unknown", "low", words, a, b, first.offset + begin, first.text)


def _at_once(difference: Difference, whole: Pair, context: Context, rules: Sequence[Rule]) -> list[Evidence] | None:
    """All that differs in the content, when one thing explains it."""
    assert difference.blobs is not None
    a, b = difference.blobs
    if (
        difference.inside.endswith(CODE)
        and (used := instruction_set(a.read(0, CODE_READ), b.read(0, CODE_READ))) is not None
    ):
        words = f"only one side's code uses {used} instructions, as when it is built for the processor at hand"
        return [Evidence("cpu", "low", words, text=False)]
    # The rule about inputs comes first: an order or a time that was copied is not made here.
    if (copied := rules[0](whole, context)) is not None and settled(erased(whole, copied)):
        return [evidence_of(Explained(copied, whole))]
    match = line_width(whole, context)
    if match is None and not whole.text and a.size != b.size:
        match = random_bytes(whole, context)
    return [evidence_of(Explained(match, whole))] if match else None


def _as_bytes(pair: Pair, a: Blob, b: Blob) -> Pair:
    start = max(0, pair.offset - 16)
    length = pair.offset - start + len(pair.a) + 16
    return Pair(a.read(start, length), b.read(start, length), start, text=False)


def _build_id(left: bytes, right: bytes, context: Context) -> Evidence:
    """When nothing else differs in the file, what it digested was stripped: debug information, which holds paths."""
    words = "a build-id is a digest of the file as it was linked"
    if None not in (dirs := (context.a.build_dir, context.b.build_dir)) and dirs[0] != dirs[1]:
        words += "; if nothing else differs, then of debug information since stripped, with the build directory in it"
        return Evidence("build-path", "low", words, left, right, text=False, derived=True)
    return Evidence("unknown", "low", words, left, right, text=False, derived=True)


def _shuffled(whole: Pair, context: Context) -> tuple[list[Explained], Pair]:
    """What the order of units explains in the piece as a whole, with the times among them, and what is left of the
    piece then. Nothing where there is no order to explain."""
    found: list[Explained] = []
    rest = whole
    for _ in range(8):
        match = ordering(rest, context)
        ordered = match is not None
        if match is None:
            match = text_timestamp(rest, context) if len(rest.a) < 1 << 18 else None
        if match is None:
            break
        found.append(Explained(match, whole))
        rest = erased(rest, match)
        if ordered:
            return found, rest
        if settled(rest):
            break
    return [], whole
