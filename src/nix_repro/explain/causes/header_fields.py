"""Why a field in the header of an archive or of another format differs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from nix_repro.explain.causes.evidence import Evidence, from_pair
from nix_repro.explain.causes.model import Pair, Rule
from nix_repro.explain.causes.times import Instant
from nix_repro.explain.causes.timestamp import because, utc, verdict
from nix_repro.explain.compare.containers import Field
from nix_repro.explain.compare.difference import Difference
from nix_repro.explain.context import Context

#: Header fields that are names of something, and show their cause only when that is sure;
NAMES = ("link target", "original name", "user", "group")
#: and those that are free text, or bytes whose meaning is not known here, which tell of the packer but not why.
TEXTS = ("comment", "name", "command line", "identifier")
OPAQUE = ("extra field", "system use", "extended header")
#: What says that a header does not fit the content: something else than the header may be at fault.
CHECKS = ("checksum", "claimed")
#: Members whose texts are looked at.
MANY_ROWS = 50
#: Header fields that say something about another file, by which they are explained if that differs.
FROM_SOURCE = ("source hash", "source size")


def from_field(difference: Difference, context: Context, rules: Sequence[Rule]) -> Iterator[Evidence]:
    """Evidence for a field that differs, in one or more members of an archive."""
    left, right = difference.fields[0]
    a, b = (str(field.value).encode("utf-8", "surrogateescape") for field in (left, right))
    others = len(difference.fields) - 1
    more = f", and of {others} other member{'s' if others > 1 else ''}" if others else ""
    if left.name in FROM_SOURCE:
        yield Evidence("unknown", "low", f"the {left.name} follows from the source file", a, b, derived=True)
        return
    if left.name == "compressor":
        yield Evidence("archive-metadata", "high", f"other compressors wrote it: {left.value} and {right.value}", a, b)
        return
    if left.time:
        yield _time_field(difference, context, more)
        return
    doubtful = left.name.endswith(TEXTS) and not left.name.endswith(NAMES)
    if doubtful or left.name.endswith(NAMES):
        explained = [_explained(row, context, rules, doubtful) for row in difference.fields[:MANY_ROWS]]
        yield from explained[0][0]
        if all(complete for _, complete in explained) and len(explained) == len(difference.fields):
            return
    doubtful = doubtful or any(word in left.name for word in (*OPAQUE, *CHECKS))
    yield Evidence(
        "archive-metadata",
        "low" if doubtful else "high",
        f"the {difference.format} header's {left.name} differs{more}: {_text(a)} and {_text(b)}",
        a,
        b,
        form=difference.format,
    )


def _explained(
    row: tuple[Field, Field], context: Context, rules: Sequence[Rule], doubtful: bool
) -> tuple[list[Evidence], bool]:
    """What the two texts show by themselves, and whether that is all: what is but likely counts for free text only."""
    a, b = (str(field.value).encode("utf-8", "surrogateescape") for field in row)
    found, complete = from_pair(Pair(a, b, 0), context, rules)
    told = [item for item in found if doubtful or item.confidence == "high"]
    return told, bool(told) and complete and len(told) == len(found)


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")[:80]


def _time_field(difference: Difference, context: Context, more: str) -> Evidence:
    left, right = difference.fields[0]
    pairs = [(_instant(x), _instant(y)) for x, y in difference.fields]
    told = [(x, y) for x, y in pairs if x is not None and y is not None]
    answer = verdict(told, context) if len(told) == len(pairs) else None
    shown = [
        utc(float(field.value))
        if isinstance(field.value, int | float) and 0 <= field.value < 1 << 40
        else str(field.value)
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
        f"the {left.name} differs{more}: {because('header', shown[0], shown[1], answer, context)}",
        a,
        b,
        form=difference.format,
    )


def _instant(field: Field) -> Instant | None:
    return (
        Instant(field.value, 2 if field.local else 1, local=field.local)
        if isinstance(field.value, int | float)
        else None
    )
