"""From a difference to evidence: which causes are at work in it, and on which bytes that rests."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from operator import itemgetter

from nix_repro.explain.budget import Budget
from nix_repro.explain.causes import Explained, erased, explain_pair, settled
from nix_repro.explain.causes.code import instruction_set
from nix_repro.explain.causes.locales import line_width
from nix_repro.explain.causes.model import Pair, Rule
from nix_repro.explain.causes.ordering import judge, ordering
from nix_repro.explain.causes.randomness import random_bytes
from nix_repro.explain.causes.times import Instant
from nix_repro.explain.causes.timestamp import because, binary_timestamp, text_timestamp, utc, verdict
from nix_repro.explain.compare.blob import Blob
from nix_repro.explain.compare.containers import Field
from nix_repro.explain.compare.content import align, is_shown, region, stretches
from nix_repro.explain.compare.difference import Difference
from nix_repro.explain.context import Context
from nix_repro.report import Cause, Confidence

#: Bytes shown on either side of what differs.
MARGIN = 24
#: The form of parts as many as cores.
PARTS = "parts"
#: Header fields that say something about another file, by which they are explained if that differs.
FROM_SOURCE = ("source hash", "source size")
CODE, CODE_READ = ("section .text",), 4 << 20
BUILD_ID = ("section .note.gnu.build-id", "section .gnu_debuglink")


@dataclass(frozen=True)
class Evidence:
    """One cause at work in one place. `tokens` are those that may be digests or sizes of something else; `derived`
    says that the difference follows from another one in the same file."""

    cause: Cause
    confidence: Confidence
    because: str
    a: bytes = b""
    b: bytes = b""
    offset: int | None = None
    text: bool = True
    form: str = ""
    tokens: tuple[tuple[bytes, bytes], ...] = ()
    derived: bool = False


def gather(difference: Difference, context: Context, rules: Sequence[Rule], budget: Budget) -> Iterator[Evidence]:
    found: Iterator[Evidence] | list[Evidence]
    match difference.kind:
        case "content":
            found = _content(difference, context, rules, budget)
        case "field":
            found = _field(difference, context, rules)
        case "wrapper":
            found = [_wrapper(difference, budget)]
        case "order":
            found = [
                Evidence(
                    "ordering",
                    "high",
                    "both archives have the same members in another order",
                    difference.a,
                    difference.b,
                    form="archive",
                )
            ]
        case "name":
            found = list(_pair(Pair(difference.a, difference.b, 0), context, rules)) or [_name(difference)]
        case "missing" | "extra":
            found = [_presence(difference, context)]
        case "executable":
            found = [
                Evidence(
                    "permissions", "high", "only the executable bit differs", difference.a, difference.b, form="mode"
                )
            ]
        case "target":
            sure = [
                item
                for item in _pair(Pair(difference.a, difference.b, 0), context, rules)
                if item.confidence == "high"
                or (item.cause in ("randomness", "timestamp") and item.form not in ("number", "duration"))
            ]
            found = sure or [
                Evidence(
                    "permissions", "high", "a symbolic link points elsewhere", difference.a, difference.b, form="link"
                )
            ]
        case "kind":
            found = [
                Evidence(
                    "unknown", "low", "one side has a file system object of another kind", difference.a, difference.b
                )
            ]
        case _:
            found = [Evidence("unknown", "low", f"the comparison could not read it: {difference.a.decode('latin-1')}")]
    for item in found:
        yield _located(item, difference.inside)


def _located(evidence: Evidence, inside: str) -> Evidence:
    """The evidence with the part of the file it is in; a time in a section of a binary is the compiler's."""
    if not inside:
        return evidence
    form = "compiled" if evidence.cause == "timestamp" and "section " in inside else evidence.form
    return replace(evidence, because=f"{evidence.because} ({inside})", form=form)


def _content(difference: Difference, context: Context, rules: Sequence[Rule], budget: Budget) -> Iterator[Evidence]:
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
    if part.text or a.size != b.size:
        lines = align(part)
        moved = lines.common
        if part.text and moved[0] != moved[1] and len(moved[0]) >= len(lines.pairs) + lines.alone:
            yield _evidence(Explained(judge(*moved, "lines", whole, context), whole))
        pairs = lines.pairs
        unexplained = lines.alone
        if not part.text and (
            match := binary_timestamp(head := Pair(part.a[:128], part.b[:128], part.offset, text=False), context)
        ):
            yield _evidence(Explained(match, head))
        if not pairs and not unexplained and moved[0] == moved[1]:
            unexplained = 1
    else:
        pairs, unexplained = list(stretches(a, b, difference.first, budget)), 0
    first = whole
    for pair in pairs:
        if budget.expired():
            break
        found, complete = explain_pair(pair, context, rules)
        if not complete and pair.text and not part.text and a.size == b.size:
            # A number's bytes may all be printable, by chance.
            found, complete = max(
                (found, complete), explain_pair(_as_bytes(pair, a, b), context, rules), key=itemgetter(1)
            )
        yield from map(_evidence, found)
        if not complete:
            first = pair if not unexplained else first
            unexplained += 1
    if unexplained:
        (start, end), (_, end_b) = first.changed()
        begin = max(0, start - MARGIN)
        words = (
            f"{unexplained} differing places have no cause that can be told from the two sides"
            if unexplained > 1
            else "no cause can be told from the two sides"
        )
        yield Evidence(
            "unknown",
            "low",
            words,
            first.a[begin : end + MARGIN],
            first.b[begin : end_b + MARGIN],
            first.offset + begin,
            first.text,
        )


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
        return [_evidence(Explained(copied, whole))]
    if (shuffled := _shuffled(whole, context)) is not None:
        return [_evidence(item) for item in shuffled]
    match = line_width(whole, context)
    if match is None and not whole.text and a.size != b.size:
        match = random_bytes(whole, context)
    return [_evidence(Explained(match, whole))] if match else None


def _as_bytes(pair: Pair, a: Blob, b: Blob) -> Pair:
    start = max(0, pair.offset - 16)
    length = pair.offset - start + len(pair.a) + 16
    return Pair(a.read(start, length), b.read(start, length), start, text=False)


def _build_id(left: bytes, right: bytes, context: Context) -> Evidence:
    """When nothing else differs in the file, what it digested was stripped: debug information, which holds paths."""
    words = "a build-id is a digest of the file as it was linked"
    if context.a.build_dir != context.b.build_dir:
        words += "; if nothing else differs, then of debug information since stripped, with the build directory in it"
        return Evidence("build-path", "low", words, left, right, text=False, derived=True)
    return Evidence("unknown", "low", words, left, right, text=False, derived=True)


def _shuffled(whole: Pair, context: Context) -> list[Explained] | None:
    """The piece as a whole, when it is explained by order alone, or by order and times."""
    found: list[Explained] = []
    rest = whole
    for _ in range(8):
        match = ordering(rest, context)
        if match is not None:
            return [*found, Explained(match, whole)]
        match = text_timestamp(rest, context) if len(rest.a) < 1 << 18 else None
        if match is None:
            return None
        found.append(Explained(match, whole))
        rest = erased(rest, match)
        if settled(rest):
            break
    return None


def _pair(pair: Pair, context: Context, rules: Sequence[Rule]) -> Iterator[Evidence]:
    return map(_evidence, explain_pair(pair, context, rules)[0])


def _evidence(explained: Explained) -> Evidence:
    match, pair = explained
    place_a, place_b = next(iter(match.places))
    shown_a, shown_b = _shown(pair.a, *place_a), _shown(pair.b, *place_b)
    text = pair.text or (shown_a[2] and shown_b[2])
    tokens = tuple((pair.a[slice(*a)], pair.b[slice(*b)]) for a, b in match.places[:64]) if match.opaque else ()
    return Evidence(
        match.cause,
        match.confidence,
        match.because,
        pair.a[shown_a[0] : shown_a[1]],
        pair.b[shown_b[0] : shown_b[1]],
        pair.offset + shown_a[0],
        text,
        match.form,
        tokens,
    )


def _shown(data: bytes, start: int, end: int) -> tuple[int, int, bool]:
    """What to show of a place: a little around it, of its own line if it is text. And whether it is text."""
    text = is_shown(data[start:end])
    first, last = max(0, start - MARGIN), min(len(data), end + MARGIN)
    if text:
        while not is_shown(data[first:start]):
            first += 1
        while not is_shown(data[end:last]):
            last -= 1
    return first, last, text


def _field(difference: Difference, context: Context, rules: Sequence[Rule]) -> Iterator[Evidence]:
    left, right = difference.fields[0]
    a, b = str(left.value).encode(), str(right.value).encode()
    others = len(difference.fields) - 1
    more = f", and of {others} other member{'s' if others > 1 else ''}" if others else ""
    if left.name in FROM_SOURCE:
        yield Evidence("unknown", "low", f"the {left.name} follows from the source file", a, b, derived=True)
        return
    if left.time:
        yield _time_field(difference, context, more)
        return
    if left.name in ("link target", "original name") and (
        found := [item for item in _pair(Pair(a, b, 0), context, rules) if item.confidence == "high"]
    ):
        yield from found
        return
    yield Evidence(
        "archive-metadata",
        "high",
        f"the {difference.format} header's {left.name} differs{more}: {a.decode()[:80]} and {b.decode()[:80]}",
        a,
        b,
        form=difference.format,
    )


def _time_field(difference: Difference, context: Context, more: str) -> Evidence:
    left, right = difference.fields[0]
    pairs = [(_instant(x), _instant(y)) for x, y in difference.fields]
    told = [(x, y) for x, y in pairs if x is not None and y is not None]
    answer = verdict(told, context) if len(told) == len(pairs) else None
    shown = [
        utc(float(field.value)) if isinstance(field.value, int) and 0 <= field.value < 1 << 40 else str(field.value)
        for field in (left, right)
    ]
    a, b = (text.encode() for text in shown)
    if answer is None:
        words = f"the {left.name} differs{more}: {shown[0]} and {shown[1]}, which are not the times of the builds"
        return Evidence(
            "archive-metadata",
            "high" if context.a.window and context.b.window else "low",
            words,
            a,
            b,
            form=difference.format,
        )
    return Evidence(
        "timestamp",
        answer,
        f"the {left.name} differs{more}: {because('header', shown[0], shown[1], answer)}",
        a,
        b,
        form=difference.format,
    )


def _instant(field: Field) -> Instant | None:
    return Instant(field.value, 2 if field.local else 1, local=field.local) if isinstance(field.value, int) else None


def _wrapper(difference: Difference, budget: Budget) -> Evidence:
    if budget.cut:
        return Evidence("unknown", "low", "the content is equal as far as it was unpacked")
    if difference.format == "elf":
        return Evidence("unknown", "low", "every section is equal; what differs is the ELF file's layout")
    words = (
        f"the content is equal; only the {difference.format} packing differs: another level, version or number of "
        "threads of the packer"
    )
    return Evidence("archive-metadata", "high", words, form=difference.format)


def _presence(difference: Difference, context: Context) -> Evidence:
    side = "build" if difference.kind == "missing" else "rebuild"
    counts = difference.a, difference.b
    if counts == tuple(str(side.cores).encode() for side in (context.a, context.b)):
        words = (
            f"there are as many entries of this name as the build had cores: {difference.a.decode()} and "
            f"{difference.b.decode()}"
        )
        return Evidence("parallelism", "high", words, *counts, form=PARTS)
    return Evidence("unknown", "low", f"it exists only in the {side}", form="presence")


def _name(difference: Difference) -> Evidence:
    return Evidence(
        "unknown", "low", "its name differs, and no cause can be told from the two names", difference.a, difference.b
    )
