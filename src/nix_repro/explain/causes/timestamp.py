"""Timestamps: both sides decode, in one format, to times inside their own build's window, or where nobody saw the first
build, to one in the rebuild's window and one before it. Nothing else is called one."""

from __future__ import annotations

import calendar
import math
import re
import time
from collections.abc import Iterable, Iterator
from typing import Literal, NamedTuple

from nix_repro.explain.causes.binary_times import binary_candidates
from nix_repro.explain.causes.model import Bounds, Match, Pair, paired, spans
from nix_repro.explain.causes.times import DAY, TEXT, YEAR, Instant, TimeFormat
from nix_repro.explain.compare.spans import differing_spans
from nix_repro.explain.context import Context
from nix_repro.report import Confidence

#: What every form of a time in text has: digits, or nearly always digits.
DIGITS = re.compile(rb"\d[^\n]*\d|(?<![0-9A-Za-z])[l-q][0-9a-z]{7}(?![0-9A-Za-z])")
#: Seconds by which a clock time may miss the window: windows come from log events, file systems round.
SLACK = 2.0
#: Seconds between time zones.
QUARTER = 900
#: Without windows: the second time is at most so many seconds later,
NEAR = 30 * DAY
#: and both are after the year 2000 and before 2033 (seconds since the epoch).
PLAUSIBLE = 946684800
DISTANT = 2_000_000_000
#: Seconds of a day in which time zones may differ at most.
ZONES = 14 * 3600
#: How often four bytes may read as a time by chance before that is no proof.
CHANCE = 1e-6


#: A stamp of coverage after what says so: the head of a file, or in an object the version, padding and a null pointer.
STAMP = re.compile(rb"(?s)(?:\A(?:oncg|gcno|adcg|gcda).{4}|[*e]\d\d[A-Z0-9]\0{12})(?P<n>.{4})")
#: Seconds after which it is the same again.
WRAPS = 2**32 / 1e3


def inside(instant: Instant, window: tuple[float, float], shift: float = 0.0) -> bool:
    start, end = window[0] - SLACK, window[1] + SLACK
    first = instant.seconds - shift
    if instant.period and instant.period != YEAR:
        first += math.floor((end - first) / instant.period) * instant.period
    elif instant.period:
        parts = time.gmtime(first)
        years = {time.gmtime(start).tm_year, time.gmtime(end).tm_year}
        return any(
            inside(
                Instant(calendar.timegm((year, *parts[1:6], 0, 0, 0)), instant.resolution),
                window,
            )
            for year in years
        )
    return first <= end and first + instant.resolution > start


def verdict(pairs: Iterable[tuple[Instant, Instant]], context: Context) -> Confidence | None:
    """High when every pair lies in the builds' windows, with one shift for the zone if that is not known. When nobody
    saw the first build, its times only have to be before the rebuild: high too, if the form is a telling one and the
    zone is UTC. Low when no window is known and the times are plausible; null when these are no times of the builds."""
    pairs = list(pairs)
    window_a, window_b = context.a.window, context.b.window
    if not pairs:
        return None
    if window_b is None:
        ended = DISTANT if context.b.before is None else min(context.b.before + SLACK, DISTANT)
        near = all(not a.period and PLAUSIBLE < a.seconds < b.seconds < min(a.seconds + NEAR, ended) for a, b in pairs)
        return "low" if near and (window_a is None or all(inside(a, window_a) for a, _ in pairs)) else None
    shifts = (
        range(-12 * 3600, ZONES + 1, QUARTER) if all(a.local and b.local and not a.period for a, b in pairs) else ()
    )
    for shift in (0, *shifts):
        if not all(inside(b, window_b, shift) for _, b in pairs):
            continue
        if window_a is not None:
            if all(inside(a, window_a, shift) for a, _ in pairs):
                return "high"
        elif all(a.period or earlier(a, context, shift) for a, _ in pairs):
            return "low" if shift or any(a.common or a.period == DAY for a, _ in pairs) else "high"
    return None


def earlier(instant: Instant, context: Context, shift: float = 0.0) -> bool:
    """Is it a time at which the first build may have run, when it is only known by when it had ended?"""
    assert context.b.window is not None
    ended = context.b.window[0] if context.a.before is None else min(context.a.before, context.b.window[0])
    return instant.seconds + instant.resolution > PLAUSIBLE and instant.seconds - shift <= ended + SLACK


def because(form: str, a: str, b: str, confidence: Confidence, context: Context, count: int = 1) -> str:
    more = f", and {count - 1} more" if count > 1 else ""
    if context.b.window is None:
        return (
            f"{a} and {b} read as times ({form}), the second shortly after the first{more}; when the builds ran is "
            "not known"
        )
    if context.a.window is not None:
        return f"{a} and {b} ({form}) each lie within the time of their own build{more}"
    words = f"{b} ({form}) lies within the time of the rebuild, and {a} before it{more}; nobody saw the first build"
    return f"{words}, and other things are written so too" if confidence == "low" else words


class Reading(NamedTuple):
    """A time as text on either side, and which time it is."""

    left: re.Match[bytes]
    right: re.Match[bytes]
    a: Instant
    b: Instant


def readings(forms: Iterable[TimeFormat], pair: Pair) -> Iterator[tuple[TimeFormat, list[Reading]]]:
    """What differs in the pair and is a time on both sides, by the form that it has."""
    if DIGITS.search(pair.b) is None:
        return
    for form in forms:
        told = ((left, right, form.decode(left), form.decode(right)) for left, right in paired(form.pattern, pair))
        found = [Reading(left, right, a, b) for left, right, a, b in told if a is not None and b is not None]
        if found:
            yield form, found


def text_timestamp(pair: Pair, context: Context) -> Match | None:
    for form, times in readings(TEXT, pair):
        answers = [(one, verdict([(one.a, one.b)], context)) for one in times]
        found = [(one.left, one.right) for one, answer in answers if answer is not None]
        if found:
            confidence: Confidence = "low" if any(answer == "low" for _, answer in answers) else "high"
            a, b = (token[0].decode("latin-1").strip() for token in found[0])
            words = because(form.name, a, b, confidence, context, len(found))
            return Match("timestamp", confidence, words, spans(found), form="text")
    return None


def binary_timestamp(pair: Pair, context: Context) -> Match | None:
    """Only with a known window of the rebuild: some reading of any eight bytes is a plausible year."""
    if pair.text or len(pair.a) != len(pair.b) or len(pair.a) > 4096 or context.b.window is None:
        return None
    return _coverage_stamp(pair, context) or _binary_time(pair, context, context.b.window)


def _coverage_stamp(pair: Pair, context: Context) -> Match | None:
    """The stamp that gcc writes into notes of coverage, their counts and the object: the lower half of the count of
    milliseconds, when it was not told a seed."""
    left, right = STAMP.search(pair.a), STAMP.search(pair.b)
    if left is None or right is None or left.start("n") != right.start("n") or left["n"] == right["n"]:
        return None
    order: Literal["little", "big"] = "big" if left[0][:2] == b"gc" else "little"
    a, b = (Instant(int.from_bytes(match["n"], order) / 1e3, 1, period=WRAPS) for match in (left, right))
    if (answer := verdict([(a, b)], context)) is None:
        return None
    words = "the stamp of gcc's notes of coverage, of which each"
    words += " side's is the time of its own build" if context.a.window else " new one is the time of the build"
    return Match("timestamp", answer, words, [(left.span("n"), right.span("n"))], form="coverage")


def _binary_time(pair: Pair, context: Context, window: tuple[float, float]) -> Match | None:
    begin, end = window[0] - ZONES - SLACK, window[1] + ZONES + SLACK
    for span in differing_spans(pair.a, pair.b, 64):
        for form, position in binary_candidates(pair.a, *span):
            # Most are out of question, and this is asked for every form at every place.
            if (b := form.decode(pair.b[position : position + form.size])) is None or not begin <= b.seconds <= end:
                continue
            a = form.decode(pair.a[position : position + form.size])
            if a is None or a == b or (answer := verdict([(a, b)], context)) is None:
                continue
            if context.a.window is None and form.size <= 4:
                tries = span.end - span.start + form.size
                chance = (end - begin - 2 * ZONES) * tries / 2**32
                answer = "low" if chance > CHANCE else answer
            place: Bounds = position, position + form.size
            words = because(form.name, utc(a.seconds), utc(b.seconds), answer, context)
            return Match("timestamp", answer, words, [(place, place)], form="binary")
    return None


def utc(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(seconds))
