"""Where things happened to lie: addresses, process numbers, and other small numbers that change from run to run."""

from __future__ import annotations

import re
import struct
from typing import NamedTuple

from nix_repro.explain.causes.model import Match, Pair, paired, spans
from nix_repro.explain.compare.spans import differing_spans
from nix_repro.explain.context import Context
from nix_repro.report import Cause

#: Where Linux and macOS put programs, heaps, libraries and stacks.
POINTER = re.compile(
    rb"(?i)0x(?:0000)?(?:7f|7e|55|56|60|aaaa|ffff)(?:(?<=a{4})|(?<=f{4})|[0-9a-f]{2})[0-9a-f]{8}(?![0-9a-z])"
    rb"|0xffff[0-9a-f]{12}(?![0-9a-z])|(?<= at )0x[0-9a-f]{9,16}(?![0-9a-z])"
    # A mapping as /proc/PID/maps lists it, and a backtrace's sixteen digits.
    rb"|(?<![0-9a-z])[0-9a-f]{8,16}-[0-9a-f]{8,16}(?=[ \t]+[r-][w-][x-][ps])"
    rb"|(?<![0-9a-z])0000(?:7f|7e|55|56)[0-9a-f]{10}(?![0-9a-z])"
)
#: Bits of an address that are drawn wherever it is drawn at all; those above are of no number of 32 bits.
MIDDLE = 0xFFFF0000
UPPER = 0xFF00000000


def pointer_text(pair: Pair, _context: Context) -> Match | None:
    found = paired(POINTER, pair) if pair.text else []
    if not found:
        return None
    words = f"{found[0][0][0].decode()} and {found[0][1][0].decode()} have the shape of addresses in a program's memory"
    return Match("address-layout", "high", words, spans(found), form="text")


def pointer_bytes(pair: Pair, _context: Context) -> Match | None:
    """Eight bytes that read as a user-space address on both sides. Pages move as a whole, so the low twelve bits
    agree; the middle and upper ones hardly ever do, or it is a smaller number beside something else."""
    if pair.text or len(pair.a) != len(pair.b):
        return None
    for span in differing_spans(pair.a, pair.b, 64):
        for at in range(max(0, span.start - 7), min(span.end, len(pair.a) - 7)):
            (left,), (right,) = struct.unpack_from("<Q", pair.a, at), struct.unpack_from("<Q", pair.b, at)
            if (
                (left ^ right) & MIDDLE
                and (left ^ right) & UPPER
                and all(value >> 40 in (0x55, 0x56, 0x7E, 0x7F) for value in (left, right))
            ):
                same_page_offset = left & 0xFFF == right & 0xFFF and (pair.offset + at) % 4 == 0
                words = f"{left:#x} and {right:#x} have the shape of addresses in a program's memory"
                return Match(
                    "address-layout",
                    "high" if same_page_offset else "low",
                    words,
                    [((at, at + 8), (at, at + 8))],
                    form="binary",
                )
    return None


class NamedNumber(NamedTuple):
    """A number that the text around it names."""

    cause: Cause
    what: str
    pattern: re.Pattern[bytes]
    form: str = ""


NAMED = (
    NamedNumber(
        "timestamp",
        "a duration",
        re.compile(
            rb"(?<!\d)\d{1,12}(?:\.\d{1,9})?(?= ?(?:m?s|secs?|seconds?|min|minutes?|us|\xc2?\xb5s|ns)\b)"
            rb"|(?<=time=[\"'])[\d.]+"
            rb"|(?i:(?<=elapsed)|(?<=duration)|(?<=took)|(?<=real)|(?<=user)|(?<=sys))[\"']?[:=\s]*[\"']?[\dm.]+"
        ),
        "duration",
    ),
    # 0x55… and 0x7f… as Python's id() prints them.
    NamedNumber(
        "address-layout",
        "an address in decimal digits",
        re.compile(rb"(?<![\d.])(?:9[34]\d{12}|1(?:39|40)\d{12})(?![\d.])"),
    ),
    NamedNumber(
        "address-layout",
        "an address",
        re.compile(
            rb"(?i)(?:(?<=object at )|(?<=instance at )|(?<=function at )|(?<=method at )|(?<=address )|(?<=addr=)"
            rb"|(?<=pointer )|(?<=ptr=))0x[0-9a-f]{6,16}(?![0-9a-z])"
        ),
    ),
    NamedNumber(
        "address-layout",
        "a process's number",
        re.compile(
            rb"(?i)(?:\bp?pid\b|\bprocess(?:[ _]id)?|/proc|\bthread[ _-]?id|\btid\b)[\"']?[^0-9A-Za-z]{0,4}\d{1,10}\b"
            rb"|\[\d{2,7}\](?=:)"
        ),
        "pid",
    ),
    NamedNumber(
        "randomness",
        "a number drawn at random",
        re.compile(
            rb"(?i)(?:port|seed|salt|nonce|rand(?:om)?|cookie|token|session|secret|key|guid|serial)[\w-]*[\"']?[^0-9A-Za-z]{1,4}\d{2,20}\b"
        ),
        "number",
    ),
)


def named_number(pair: Pair, _context: Context) -> Match | None:
    """Numbers said to be a duration, a process or a draw. They show nothing of where they come from: never sure."""
    if not pair.text:
        return None
    for kind in NAMED:
        if found := paired(kind.pattern, pair):
            a, b = (found[0][side][0].decode("latin-1").strip()[:60] for side in (0, 1))
            return Match(
                kind.cause,
                "low",
                f"{a} and {b} read as {kind.what}",
                spans(found),
                form=kind.form,
                opaque=kind.form == "number",
            )
    return None


DECIMAL = re.compile(rb"(?<![\w.])\d{4,20}(?![\w.]*\w)|(?<=[_-])\d{4,20}(?![A-Za-z0-9])")


def large_number(pair: Pair, _context: Context) -> Match | None:
    """Large numbers with nothing in common, which counters and sizes seldom are."""
    if not pair.text:
        return None
    found = [
        (left, right)
        for left, right in paired(DECIMAL, pair)
        if min(int(left[0]), int(right[0])) >= 1000
        and abs(int(left[0]) - int(right[0])) > 0.05 * max(int(left[0]), int(right[0]))
    ]
    if not found:
        return None
    return Match(
        "randomness",
        "low",
        "both sides have a large number in the same place, and the two are far apart",
        spans(found),
        form="number",
        opaque=True,
    )


PLAIN = re.compile(rb"(?<![\w.])\d{1,20}(?![\w.]*\w)")


def plain_number(pair: Pair, _context: Context) -> Match | None:
    """Any other number: it may be the size of something that differs."""
    found = paired(PLAIN, pair) if pair.text else []
    if not found:
        return None
    words = "a number differs, and no cause can be told from the two sides"
    return Match("unknown", "low", words, spans(found), form="number", opaque=True)


FLOAT = re.compile(rb"(?<![\w.])-?\d+\.\d{5,20}(?:[eE][+-]?\d{1,3})?(?![\w.])")
#: Two sums of the same numbers differ by no more than this share of them,
ROUNDED = 1e-9
#: and are neither of these sizes, which other numbers have when they are read so.
PLAUSIBLE = 1e-9, 1e15


def rounded(pair: Pair, context: Context) -> Match | None:
    """Floating-point numbers that differ in their last digits only: the same numbers summed in another order."""
    if context.a.cores == context.b.cores == 1:
        return None
    if pair.text:
        places = [
            (left.span(), right.span())
            for left, right in paired(FLOAT, pair)
            if _close(float(left[0]), float(right[0]))
            and len(left[0].split(b".")[1]) >= 9
            and len(right[0].split(b".")[1]) >= 9
        ]
    else:
        places = [((at, at + 8), (at, at + 8)) for at in _close_doubles(pair)]
    if not places:
        return None
    words = (
        "floating-point numbers differ in their last digits only, as sums do whose parts come in the order in which "
        "threads finish; one core would tell"
    )
    return Match("parallelism", "low", words, places, form="sum")


def _close_doubles(pair: Pair) -> list[int]:
    """Where eight bytes are a number on either side whose last bits alone differ."""
    if len(pair.a) != len(pair.b):
        return []
    found = []
    for start, end in differing_spans(pair.a, pair.b, 64):
        at = start - (pair.offset + start) % 8
        if end - start > 3 or at < 0 or at + 8 > len(pair.a):
            continue
        (left,), (right,) = struct.unpack_from("<d", pair.a, at), struct.unpack_from("<d", pair.b, at)
        if _close(left, right):
            found.append(at)
    return found


def _close(a: float, b: float) -> bool:
    size = max(abs(a), abs(b))
    return a != b and PLAUSIBLE[0] < size < PLAUSIBLE[1] and abs(a - b) <= ROUNDED * size
