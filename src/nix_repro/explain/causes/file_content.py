"""Why the content of a file differs: as a whole if one thing explains it, else line by line or stretch by stretch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from operator import itemgetter

from nix_repro.explain.budget import Budget
from nix_repro.explain.causes.code import instruction_set
from nix_repro.explain.causes.derived import BUILD_ID
from nix_repro.explain.causes.evidence import KEPT, MARGIN, Evidence, evidence_of
from nix_repro.explain.causes.locales import line_width
from nix_repro.explain.causes.model import EXPLAINED, Pair, Rule, erase, left_over
from nix_repro.explain.causes.ordering import judge, ordering
from nix_repro.explain.causes.permutation import moved
from nix_repro.explain.causes.randomness import random_bytes
from nix_repro.explain.causes.rules import Explained, complete, erased, explain_pair, settled
from nix_repro.explain.causes.timestamp import binary_timestamp, text_timestamp
from nix_repro.explain.compare.blob import Blob, MemoryBlob, SliceBlob
from nix_repro.explain.compare.content import align, region, stretches
from nix_repro.explain.compare.difference import Difference
from nix_repro.explain.context import Context

#: Where code is.
CODE = ("section .text",)
#: Bytes of it that are read.
CODE_READ = 4 << 20
#: What is made of digests of other parts of the program: by linkers, by objcopy, by Go.
DIGESTS = (BUILD_ID, "section .gnu_debuglink", "section .note.go.buildid")
#: Bytes at the end of an ELF file in which the names of its sections are.
NAMES = 256 << 10


@dataclass
class Account:
    """All that differs in a content: the parts that are explained, the pairs that are not explained to their end, and
    how many places are no pair of anything (`more`). Nothing else differs, but for what the budget says."""

    found: list[Explained] = field(default_factory=list)
    left: list[Pair] = field(default_factory=list)
    more: int = 0

    def add(self, pair: Pair, found: Sequence[Explained], complete: bool) -> None:
        self.found += found
        if not complete:
            self.left.append(pair)


def from_content(difference: Difference, context: Context, rules: Sequence[Rule], budget: Budget) -> Iterator[Evidence]:
    """Evidence for each cause at work in the content, and one of unknown cause for what is left unexplained."""
    assert difference.blobs is not None
    a, b = difference.blobs
    if difference.inside.endswith(DIGESTS):
        yield _build_id(difference, context)
        return
    whole = region(a, b, difference.first, budget)
    if (used := _instructions(difference)) is not None:
        words = f"only one side's code uses {used} instructions, as when it is built for the processor at hand"
        yield Evidence("cpu", "low", words, text=False)
        return
    told = account(difference, whole, context, rules, budget)
    yield from map(evidence_of, told.found)
    if told.left or told.more:
        yield _unexplained((told.left or [whole])[0], len(told.left) + told.more)


def account(difference: Difference, whole: Pair, context: Context, rules: Sequence[Rule], budget: Budget) -> Account:
    """All that differs in a content, of which `whole` is the region from the first difference on."""
    assert difference.blobs is not None
    a, b = difference.blobs
    if (at_once := _at_once(whole, context, rules, alike=a.size == b.size)) is not None:
        return Account(at_once)
    shuffled, rest = _shuffled(_tellable(whole), context)
    shuffled = [one._replace(pair=whole) for one in shuffled]
    if shuffled and complete(whole, shuffled):
        return Account(shuffled)
    if not shuffled:
        rest = whole
    told, filled = Account(shuffled), bool(shuffled)
    if rest.text or a.size != b.size:
        _by_lines(told, rest, context, rules, budget, filled=filled)
        return told
    if filled:
        a, b = MemoryBlob(rest.a), MemoryBlob(rest.b)
    for pair in stretches(a, b, 0 if filled else difference.first, budget):
        if budget.expired():
            break
        found, done = explain_pair(pair, context, rules, filled=filled)
        if not done and pair.text:
            # A number's bytes may all be printable, by chance.
            as_bytes = explain_pair(_as_bytes(pair, a, b), context, rules, filled=filled)
            found, done = max((found, done), as_bytes, key=itemgetter(1))
        here = rest.offset if filled else 0
        told.add(_later(pair, here), [one._replace(pair=_later(one.pair, here)) for one in found], done)
    return told


def _later(pair: Pair, by: int) -> Pair:
    return replace(pair, offset=pair.offset + by) if by else pair


def _by_lines(
    told: Account, part: Pair, context: Context, rules: Sequence[Rule], budget: Budget, *, filled: bool
) -> None:
    """By lines or, in binary data of another length, by strings; and whether what is between them is equal. `filled`:
    a part of it is explained, and filled with what says so."""
    lines = align(part, budget)
    found: list[Explained] = []
    places = moved(*lines.common) if part.text else []
    if places and len(lines.common[0]) >= len(lines.pairs) + lines.alone:
        left, right = ([line for line, _ in side] for side in lines.common)
        if (match := judge(left, right, places, context)) is not None:
            if 3 * (len(lines.pairs) + lines.alone) > len(left):
                match = replace(match, confidence="low")  # Most of it may be something else altogether.
            found.append(Explained(match, part))
    if not part.text:
        head = Pair(part.a[:128], part.b[:128], part.offset, text=False)
        if (match := binary_timestamp(head, context)) is not None:
            found.append(Explained(match, head))
    told.found += found
    told.more += lines.alone
    if not lines.alone:
        of_a, of_b = (
            [*side, *(place[n] for one in found for place in one.match.places)] for n, side in enumerate(lines.places)
        )
        between = Pair(erase(part.a, of_a), erase(part.b, of_b), 0)
        equal = settled(between) if filled else left_over(part.a, of_a) == left_over(part.b, of_b)
        told.more += not equal
    for pair in lines.pairs:
        if budget.expired():
            break
        told.add(pair, *explain_pair(pair, context, rules, filled=filled))


def _unexplained(first: Pair, places: int) -> Evidence:
    (start, end), (_, end_b) = first.changed()
    begin = max(0, start - MARGIN)
    words = (
        f"{places} differing places have no cause that can be told from the two sides"
        if places > 1
        else "no cause can be told from the two sides"
    )
    a, b = first.a[begin : end + MARGIN][:KEPT], first.b[begin : end_b + MARGIN][:KEPT]
    return Evidence("unknown", "low", words, a, b, first.offset + begin, first.text)


def _instructions(difference: Difference) -> str | None:
    """The instruction set that only one side's code uses, if the content is code."""
    assert difference.blobs is not None
    if not difference.inside.endswith(CODE):
        return None
    a, b = difference.blobs
    return instruction_set(a.read(0, CODE_READ), b.read(0, CODE_READ))


def _at_once(whole: Pair, context: Context, rules: Sequence[Rule], *, alike: bool) -> list[Explained] | None:
    """All that differs in the content, when one thing explains it. `alike`: both sides are of one size."""
    # The rule about inputs comes first: an order or a time that was copied is not made here.
    if (copied := rules[0](whole, context)) is not None and complete(whole, found := [Explained(copied, whole)]):
        return found
    match = line_width(whole, context)
    if match is None and not whole.text and not alike:
        match = random_bytes(whole, context)
    return [Explained(match, whole)] if match and complete(whole, [Explained(match, whole)]) else None


def _as_bytes(pair: Pair, a: Blob, b: Blob) -> Pair:
    start = max(0, pair.offset - 16)
    length = pair.offset - start + len(pair.a) + 16
    return Pair(a.read(start, length), b.read(start, length), start, text=False)


def _build_id(difference: Difference, context: Context) -> Evidence:
    """It follows from whatever else differs in the file. If nothing does, it is no digest of the file as it is."""
    assert difference.blobs is not None
    a, b = difference.blobs
    left, right = a.read(16, 64) or a.read(0, 64), b.read(16, 64) or b.read(0, 64)
    if not difference.inside.endswith(BUILD_ID):
        words = "it is made of digests of other parts of the program"
        return Evidence("unknown", "low", words, left, right, text=False, derived=True)
    words = "a build-id is a digest of the file as it was linked"
    dirs = context.a.build_dir, context.b.build_dir
    drawn = len(left) == len(right) == 16 or _has_section(a, b".debug_info")
    if drawn or (dirs[0] is not None and dirs[0] == dirs[1] and _has_section(a, b".symtab")):
        words += "; if nothing else differs, the linker was told to draw it, or what it was made of was stripped"
        return Evidence("randomness", "low", words, left, right, text=False, form="build-id", derived=True)
    if None not in dirs and dirs[0] != dirs[1]:
        words += "; if nothing else differs, then of debug information since stripped, with the build directory in it"
        return Evidence("build-path", "low", words, left, right, text=False, derived=True)
    return Evidence("unknown", "low", words, left, right, text=False, derived=True)


def _has_section(section: Blob, name: bytes) -> bool:
    """Does the ELF file that the section is of have one of this name? Its names are near its end."""
    if not isinstance(section, SliceBlob):
        return False
    file = section.blob
    return name + b"\0" in file.read(max(0, file.size - NAMES), NAMES)


def _tellable(whole: Pair) -> Pair:
    """The piece with another byte, which it does not hold, for each that could not be told from what is filled in; one
    next to it, so that a time in a number of seconds stays near itself. Nothing of it where there is no such byte."""
    if EXPLAINED not in whole.a and EXPLAINED not in whole.b:
        return whole
    held = {*whole.a, *whole.b}
    nearest = sorted(set(range(256)) - held, key=lambda byte: abs(byte - EXPLAINED[0]))
    if not nearest:
        return replace(whole, a=b"", b=b"")
    other = bytes([nearest[0]])
    return replace(whole, a=whole.a.replace(EXPLAINED, other), b=whole.b.replace(EXPLAINED, other))


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
