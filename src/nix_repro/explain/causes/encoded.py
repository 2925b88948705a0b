"""Bytes that text spells: lists of numbers, hexadecimal digits, escapes, base64. Each is decoded, with the place of
every byte, and asked about times: what a generator embeds holds its clock too."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from typing import NamedTuple

from nix_repro.explain.causes.model import Bounds, Match, Pair, paired
from nix_repro.explain.causes.timestamp import binary_timestamp, text_timestamp
from nix_repro.explain.context import Context
from nix_repro.report import Confidence

#: Characters of a line that are decoded.
LONGEST = 1 << 14


class Decoded(NamedTuple):
    """What a text spells, and where in it each byte is spelt."""

    data: bytes
    places: list[Bounds]


class Coding(NamedTuple):
    """A way to spell bytes: what such a text looks like, and how it is read."""

    name: str
    pattern: re.Pattern[bytes]
    decode: Callable[[bytes], Decoded | None]


def _numbers(pattern: bytes, base: int) -> Callable[[bytes], Decoded | None]:
    """A list of numbers, each of one byte, perhaps a signed one."""
    number = re.compile(pattern)

    def decode(text: bytes) -> Decoded | None:
        found = list(number.finditer(text))
        values = [int(match[0], base) for match in found]
        if not all(-128 <= value <= 255 for value in values):
            return None
        return Decoded(bytes(value & 255 for value in values), [match.span() for match in found])

    return decode


def _base64(last_two: bytes) -> Callable[[bytes], Decoded | None]:
    def decode(text: bytes) -> Decoded | None:
        digits = text.rstrip(b"=")
        try:
            data = base64.b64decode(digits + b"=" * (-len(digits) % 4), altchars=last_two, validate=True)
        except (binascii.Error, ValueError):
            return None
        return Decoded(data, [(at * 8 // 6, (at * 8 + 13) // 6) for at in range(len(data))])

    return decode


#: Groups of an escape, and the base of the digits in them.
_BASES = (("x", 16), ("u", 16), ("o", 8), ("d", 10))


def _escaped(pattern: bytes) -> Callable[[bytes], Decoded | None]:
    """Text in which some characters are escaped: their numbers are in groups named by their base."""
    escape, either = (re.compile(shape, re.IGNORECASE) for shape in (pattern, pattern + rb"|(?s:.)"))

    def decode(text: bytes) -> Decoded | None:
        if not escape.search(text):
            return None
        out, places = bytearray(), []
        for match in either.finditer(text):
            groups = match.groupdict()
            spelt = next(
                (int(digits, base) for name, base in _BASES if (digits := groups.get(name))),
                None,
            )
            out.append(match[0][-1] if spelt is None else spelt & 255)
            places.append(match.span())
        return Decoded(bytes(out), places)

    return decode


#: More than so many bytes in a row, or a list of other numbers looks so.
_LIST = rb"(?<![\w.+*/-])%(number)s(?:\s{0,4}[,;]\s{0,4}%(number)s){3,}(?![\w.])"
_HEX_BYTE = rb"(?:0x|\$|#)[0-9A-Fa-f]{1,2}(?:[uU]|U8)?"
_BACKSLASH = rb"\\(?:x(?P<x>[0-9a-f]{2})|u(?:00|\{0{0,4})(?P<u>[0-9a-f]{2})\}?|(?P<o>[0-3]?[0-7]{1,2})|[^xu0-7\n])"
_PERCENT = rb"%(?P<x>[0-9a-f]{2})"
_QUOTED = rb"=(?P<x>[0-9A-F]{2})"
_ENTITY = rb"&\#(?:x(?P<x>[0-9a-f]{1,4})|(?P<d>\d{1,5}));"

LINE = re.compile(rb"[^\n]+")

CODINGS: tuple[Coding, ...] = (
    Coding(
        "bytes in hexadecimal numbers",
        re.compile(_LIST % {b"number": _HEX_BYTE}),
        _numbers(rb"(?<=[xX$#])[0-9A-Fa-f]{1,2}", 16),
    ),
    Coding(
        "bytes in decimal numbers",
        re.compile(_LIST % {b"number": rb"-?\d{1,3}"}),
        _numbers(rb"-?\d{1,3}", 10),
    ),
    Coding(
        "hexadecimal digits",
        re.compile(rb"(?<![0-9A-Za-z])(?:[0-9A-Fa-f]{2}[ :-]?){3,}[0-9A-Fa-f]{2}(?![0-9A-Za-z])"),
        _numbers(rb"[0-9A-Fa-f]{2}", 16),
    ),
    Coding("escapes", LINE, _escaped(_BACKSLASH)),
    Coding("percent encoding", LINE, _escaped(_PERCENT)),
    Coding("quoted-printable", LINE, _escaped(_QUOTED)),
    Coding("character references", LINE, _escaped(_ENTITY)),
    Coding(
        "base64",
        re.compile(
            rb"(?<![A-Za-z0-9+/])(?=[a-z]*[A-Z0-9+/])(?=[0-9a-f]*[A-Zg-z+/])[A-Za-z0-9+/]{6,}={0,2}(?![A-Za-z0-9+/=])"
        ),
        _base64(b"+/"),
    ),
    Coding(
        "base64url",
        re.compile(rb"(?<![A-Za-z0-9_-])(?=[A-Za-z0-9]*[_-])[A-Za-z0-9_-]{6,}={0,2}(?![A-Za-z0-9_=-])"),
        _base64(b"-_"),
    ),
)


def encoded_timestamp(pair: Pair, context: Context) -> Match | None:
    """A time within bytes that text spells."""
    if not pair.text or max(len(pair.a), len(pair.b)) > LONGEST or context.b.window is None:
        return None
    for coding in CODINGS:
        places: list[tuple[Bounds, Bounds]] = []
        confidence: Confidence = "high"
        words = ""
        for left, right in paired(coding.pattern, pair):
            a, b = coding.decode(left[0]), coding.decode(right[0])
            if a is None or b is None or a.data == b.data:
                continue
            if (match := _time_in(a.data, b.data, context)) is None:
                continue
            places += [(_spelt(a, x, left.start()), _spelt(b, y, right.start())) for x, y in match.places]
            confidence = "low" if match.confidence == "low" else confidence
            words = words or f"in {coding.name}: {match.because}"
        if places:
            return Match("timestamp", confidence, words, places, form="text")
    return None


def _time_in(a: bytes, b: bytes, context: Context) -> Match | None:
    """The first time in decoded bytes, as text, or else as bytes: four of these may all be printable."""
    inner = Pair(a, b, 0, text=False)
    return text_timestamp(inner, context) or binary_timestamp(inner, context)


def _spelt(decoded: Decoded, place: Bounds, offset: int) -> Bounds:
    start, end = place
    return offset + decoded.places[start][0], offset + decoded.places[end - 1][1]
