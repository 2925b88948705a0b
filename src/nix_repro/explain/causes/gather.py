"""From a difference to evidence: which causes are at work in it, and on which bytes that rests."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from nix_repro.explain.budget import Budget
from nix_repro.explain.causes.derived import name_tokens
from nix_repro.explain.causes.evidence import Evidence, from_pair
from nix_repro.explain.causes.file_content import from_content
from nix_repro.explain.causes.header_fields import from_field
from nix_repro.explain.causes.model import Pair, Rule
from nix_repro.explain.causes.producers import producer
from nix_repro.explain.compare.containers.unread import Unread, unread
from nix_repro.explain.compare.difference import Difference
from nix_repro.explain.compare.names import recompressed
from nix_repro.explain.context import Context

#: The form of parts as many as cores.
PARTS = "parts"


def gather(difference: Difference, context: Context, rules: Sequence[Rule], budget: Budget) -> Iterator[Evidence]:
    """Evidence for each cause that is at work in one difference: at least one, if only of unknown cause."""
    made_by = producer(difference)
    for evidence in _evidence(difference, context, rules, budget):
        located = _located(_raced(evidence, difference, context), difference.inside)
        yield replace(located, producer=made_by) if made_by else located


def _evidence(difference: Difference, context: Context, rules: Sequence[Rule], budget: Budget) -> Iterable[Evidence]:
    a, b = difference.a, difference.b
    match difference.kind:
        case "content":
            found = from_content(difference, context, rules, budget)
            form = unread(*difference.blobs) if difference.blobs else None
            return found if form is None else _unread(found, form)
        case "field":
            return from_field(difference, context, rules)
        case "wrapper":
            return [_wrapper(difference, budget)]
        case "order":
            return [_order(difference)]
        case "name":
            return list(_named(difference, context, rules))
        case "missing" | "extra":
            return [_presence(difference, context)]
        case "executable":
            return [Evidence("permissions", "high", "only the executable bit differs", a, b, form="mode")]
        case "target":
            return _target(a, b, *from_pair(Pair(a, b, 0), context, rules))
        case "follows":
            words = "it holds offsets and counts of other parts that differ, and may follow from them"
            return [Evidence("unknown", "low", words, text=False, derived=True)]
        case "kind":
            return [Evidence("unknown", "low", "one side has a file system object of another kind", a, b)]
        case _:
            return [Evidence("unknown", "low", f"the comparison could not read it: {a.decode('latin-1')}")]


def _unread(found: Iterable[Evidence], form: Unread) -> Iterator[Evidence]:
    """What can be told of a file that is not looked into; of one that is compressed, only what a header's time shows.
    The rest is for the program that reads it."""
    unclear = False
    for item in found:
        if item.cause == "unknown" or (form.packed and (item.cause, item.confidence) != ("timestamp", "high")):
            unclear = True
        else:
            yield item
    if unclear:
        words = f"it is a {form.name}, which is not looked into here: {form.reader} shows what differs in it"
        yield Evidence("unknown", "low", words, text=False, form="unread")


def _target(a: bytes, b: bytes, found: Iterable[Evidence], complete: bool) -> list[Evidence]:
    """Where a link points is short: what is but likely there may be chance."""
    telling = ("randomness", "timestamp")
    told = [
        item
        for item in found
        if item.confidence == "high" or (item.cause in telling and item.form not in ("number", "duration"))
    ]
    if not told:
        return [Evidence("permissions", "high", "a symbolic link points elsewhere", a, b, form="link")]
    rest = Evidence("unknown", "low", "a part of where the link points has no cause that can be told", a, b)
    return told if complete and len(told) == len(list(found)) else [*told, rest]


#: Builds after which a text without a cause may be called a race.
SEVERAL = 3


def _raced(evidence: Evidence, difference: Difference, context: Context) -> Evidence:
    """A race need not leave an order: an update is lost, one of two writers wins, a file is copied half written. Only
    where several builds differ is that said at all."""
    told = evidence.cause != "unknown" or not evidence.text or evidence.derived or difference.kind != "content"
    if told or context.builds < SEVERAL or context.a.cores == context.b.cores == 1:
        return evidence
    words = (
        f"no cause can be told from the two sides, and of {context.builds} builds not all agree: it may be a race, in "
        "which an update is lost or one of several writers wins. One core would tell"
    )
    return replace(evidence, cause="parallelism", because=words, form="race")


def _located(evidence: Evidence, inside: str) -> Evidence:
    """The evidence with the part of the file it is in; a time in a section of a binary is the compiler's."""
    if not inside:
        return evidence
    form = "compiled" if evidence.cause == "timestamp" and "section " in inside else evidence.form
    return replace(evidence, because=f"{evidence.because} ({inside})", form=form)


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
    if context.a.cores is None and counts[1] == str(context.b.cores).encode() and counts[1] > b"1":
        words = f"there are {counts[1].decode()} entries of this name, as many as the rebuild had cores"
        return Evidence("parallelism", "low", words, *counts, form=PARTS)
    return Evidence("unknown", "low", f"it exists only in the {side}", form="presence")


def _order(difference: Difference) -> Evidence:
    if difference.format == "elf":
        words = "both sides have the same sections in another order"
        return Evidence("unknown", "low", words, difference.a, difference.b)
    words = "both archives have the same members in another order"
    return Evidence("ordering", "high", words, difference.a, difference.b, form="archive")


def _named(difference: Difference, context: Context, rules: Sequence[Rule]) -> Iterator[Evidence]:
    """What the rules find in the names, which may as well be digests of what they name."""
    if recompressed(difference.a, difference.b):
        words = "the two names say that other compressors wrote it"
        yield Evidence("archive-metadata", "low", words, difference.a, difference.b, named=True)
        return
    a, b = (side.rpartition(b"/")[2] for side in (difference.a, difference.b))
    names = Pair(a, b, 0) if a != b else Pair(difference.a, difference.b, 0)
    told, complete = from_pair(names, context, rules)
    tokens = name_tokens(difference.a, difference.b)
    for evidence in told if complete else [*told, _name(difference)]:
        yield replace(evidence, tokens=tokens, named=True)


def _name(difference: Difference) -> Evidence:
    return Evidence(
        "unknown", "low", "its name differs, and no cause can be told from the two names", difference.a, difference.b
    )
