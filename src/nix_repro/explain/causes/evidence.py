"""One cause at work in one place, with the bytes that show it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nix_repro.explain.causes.model import Pair, Rule
from nix_repro.explain.causes.rules import Explained, explain_pair
from nix_repro.explain.compare.content import is_shown
from nix_repro.explain.context import Context
from nix_repro.report import Cause, Confidence

#: Bytes shown on either side of what differs.
MARGIN = 24
#: Tokens in one place that are looked up; of more, none is called derived.
TOKENS = 64
#: Bytes of a token that may be a digest in some spelling; a longer one is none.
TOKEN = 200
#: Bytes of either side that evidence keeps: there may be much of it, and a finding shows no more.
KEPT = 1024


@dataclass(frozen=True)
class Evidence:
    """One cause at work in one place. `tokens` are those that may be digests or sizes of something else; `derived`
    says that the difference follows from another one in the same file; `named` that it is one of names.
    `producer` is what made the file, where that shows."""

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
    named: bool = False
    producer: str = ""


def from_pair(pair: Pair, context: Context, rules: Sequence[Rule]) -> tuple[list[Evidence], bool]:
    """Evidence for each cause that a rule finds in the pair, and whether that is all of it."""
    found, complete = explain_pair(pair, context, rules)
    return [evidence_of(one) for one in found], complete


def evidence_of(explained: Explained) -> Evidence:
    """A rule's match as evidence: its first place is what is shown."""
    match, pair = explained
    place_a, place_b = next(iter(match.places))
    shown_a, shown_b = _shown(pair.a, *place_a), _shown(pair.b, *place_b)
    text = pair.text or (shown_a[2] and shown_b[2])
    ends = (end - start for place in match.places for start, end in place)
    opaque = match.opaque and len(match.places) <= TOKENS and max(ends) <= TOKEN
    tokens = tuple((pair.a[slice(*a)], pair.b[slice(*b)]) for a, b in match.places) if opaque else ()
    return Evidence(
        match.cause,
        match.confidence,
        match.because,
        pair.a[shown_a[0] : shown_a[1]][:KEPT],
        pair.b[shown_b[0] : shown_b[1]][:KEPT],
        pair.offset + shown_a[0],
        text,
        match.form,
        tokens,
        derived=match.form == "derived",
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
