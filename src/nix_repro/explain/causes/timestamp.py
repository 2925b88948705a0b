"""Timestamps: both sides decode, in one format, to times inside their own build's window. Nothing else is called
one."""

from __future__ import annotations

import calendar
import math
import re
import time
from collections.abc import Iterable

from nix_repro.explain.causes.model import Bounds, Match, Pair, paired
from nix_repro.explain.causes.times import DAY, TEXT, Instant, binary_candidates
from nix_repro.explain.compare.spans import differing_spans
from nix_repro.explain.context import Context
from nix_repro.report import Confidence

#: Seconds by which a clock time may miss the window: windows come from log events, file systems round.
SLACK = 2.0
#: Seconds between time zones.
QUARTER = 900
#: Without windows: the second time is at most so many seconds later,
NEAR = 30 * DAY
#: and both are after the year 2000 (seconds since the epoch).
PLAUSIBLE = 946684800


def inside(instant: Instant, window: tuple[float, float], shift: float = 0.0) -> bool:
    start, end = window[0] - SLACK, window[1] + SLACK
    first = instant.seconds - shift
    if instant.period == DAY:
        first += math.floor((end - first) / DAY) * DAY
    elif instant.period:
        parts = time.gmtime(first)
        years = {time.gmtime(start).tm_year, time.gmtime(end).tm_year}
        return any(
            inside(Instant(calendar.timegm((year, *parts[1:6], 0, 0, 0)), instant.resolution), window) for year in years
        )
    return first <= end and first + instant.resolution > start


def verdict(pairs: Iterable[tuple[Instant, Instant]], context: Context) -> Confidence | None:
    """High when every pair lies in the builds' windows, with one shift for the zone if that is not known; low when the
    windows are unknown and the times are plausible; null when these are no times of the builds."""
    pairs = list(pairs)
    window_a, window_b = context.a.window, context.b.window
    if not pairs:
        return None
    if window_a is None or window_b is None:
        near = all(not a.period and PLAUSIBLE < a.seconds < b.seconds < a.seconds + NEAR for a, b in pairs)
        return "low" if near else None
    shifts = (
        range(-12 * 3600, 14 * 3600 + 1, QUARTER) if all(a.local and b.local and not a.period for a, b in pairs) else ()
    )
    for shift in (0, *shifts):
        if all(inside(a, window_a, shift) and inside(b, window_b, shift) for a, b in pairs):
            return "high"
    return None


def because(form: str, a: str, b: str, confidence: Confidence, count: int = 1) -> str:
    more = f", and {count - 1} more" if count > 1 else ""
    if confidence == "low":
        return (
            f"{a} and {b} read as times ({form}), the second shortly after the first{more}; when the builds ran is "
            "not known"
        )
    return f"{a} and {b} ({form}) each lie within the time of their own build{more}"


def text_timestamp(pair: Pair, context: Context) -> Match | None:
    for form in TEXT:
        found: list[tuple[re.Match[bytes], re.Match[bytes]]] = []
        confidence: Confidence = "high"
        for left, right in paired(form.pattern, pair):
            a, b = form.decode(left), form.decode(right)
            if a is None or b is None:
                continue
            answer = verdict([(a, b)], context)
            if answer is not None:
                found.append((left, right))
                confidence = answer
        if found:
            first = found[0]
            words = because(
                form.name,
                first[0][0].decode("latin-1").strip(),
                first[1][0].decode("latin-1").strip(),
                confidence,
                len(found),
            )
            return Match(
                "timestamp", confidence, words, [(left.span(), right.span()) for left, right in found], form="text"
            )
    return None


def binary_timestamp(pair: Pair, context: Context) -> Match | None:
    """Only with known windows: some reading of any eight bytes is a plausible year."""
    if (
        pair.text
        or len(pair.a) != len(pair.b)
        or len(pair.a) > 4096
        or context.a.window is None
        or context.b.window is None
    ):
        return None
    for span in differing_spans(pair.a, pair.b, 64):
        for form, position in binary_candidates(pair.a, *span):
            left, right = pair.a[position : position + form.size], pair.b[position : position + form.size]
            if left == right:
                continue
            a, b = form.decode(left), form.decode(right)
            if a is not None and b is not None and verdict([(a, b)], context) == "high":
                place: Bounds = position, position + form.size
                return Match(
                    "timestamp",
                    "high",
                    because(form.name, utc(a.seconds), utc(b.seconds), "high"),
                    [(place, place)],
                    form="binary",
                )
    return None


def utc(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(seconds))
