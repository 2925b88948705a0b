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

#: Header fields that say something about another file, by which they are explained if that differs.
#: Header fields that are free text, and may show their cause.
TEXTS = (
    *("link target", "original name", "comment", "archive comment", "extended header's name", "name"),
    *("command line", "user", "group", "pax comment"),
)
FROM_SOURCE = ("source hash", "source size")


def from_field(difference: Difference, context: Context, rules: Sequence[Rule]) -> Iterator[Evidence]:
    """Evidence for a field that differs, in one or more members of an archive."""
    left, right = difference.fields[0]
    a, b = str(left.value).encode(), str(right.value).encode()
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
    if left.name in TEXTS or left.name.endswith(" identifier"):
        found, complete = from_pair(Pair(a, b, 0), context, rules)
        sure = [item for item in found if item.confidence == "high"]
        yield from sure
        if sure and complete and len(sure) == len(found) and not others:
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
