"""Tokens shaped like the output of a random number generator."""

from __future__ import annotations

import re
from collections import Counter
from typing import NamedTuple

from nix_repro.explain.causes.model import Match, Pair, decoded, paired, spans
from nix_repro.explain.compare.spans import differing_spans
from nix_repro.explain.context import Context
from nix_repro.report import Confidence


class Shape(NamedTuple):
    """A kind of token. Those that might as well be a digest, and so derive from something else, are `opaque`."""

    name: str
    pattern: re.Pattern[bytes]
    confidence: Confidence
    opaque: bool = False
    form: str = "text"


SHAPES = (
    Shape(
        "a random UUID (version 4)",
        re.compile(
            rb"(?i)(?<![0-9a-z])[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}(?![0-9a-z])"
        ),
        "high",
    ),
    Shape("a UUID", re.compile(rb"(?i)(?<![0-9a-z])[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}(?![0-9a-z])"), "low"),
    Shape(
        "the name of a temporary file",
        re.compile(rb"(?<![A-Za-z0-9])tmp\.[A-Za-z0-9]{6,12}(?![A-Za-z0-9])"),
        "high",
        form="mktemp",
    ),
    Shape(
        "the name of a temporary file",
        re.compile(rb"(?<=/)(?:tmp|cc|te?mp-)[A-Za-z0-9_]{6,8}(?![A-Za-z0-9_])"),
        "high",
        form="mktemp",
    ),
    Shape(
        "the name of a temporary file",
        re.compile(rb"(?<=/tmp/)[A-Za-z0-9_.-]*[._-]?[A-Za-z0-9]{6,12}(?![A-Za-z0-9])"),
        "low",
        form="mktemp",
    ),
    # As mktemp and Python's tempfile name their files, without a directory before it.
    Shape(
        "the name of a temporary file",
        re.compile(
            rb"(?<![A-Za-z0-9_./-])(?:tmp|te?mp[-_]|\.tmp)(?=[A-Za-z_]*[0-9_A-Z])[A-Za-z0-9_]{6,10}(?![A-Za-z0-9_])"
        ),
        "low",
        form="mktemp",
    ),
    Shape(
        "a password's salted digest",
        re.compile(rb"\$(?:[156y]|2[abxy]?|7|argon2\w*|pbkdf2[\w-]*|scrypt)\$[A-Za-z0-9./$=,+-]{16,200}"),
        "high",
    ),
    # Its digits alone would be a hexadecimal token.
    Shape(
        "a floating-point number of many digits",
        re.compile(rb"(?<![\w.])-?\d{1,3}\.\d{9,20}(?:e-?\d+)?(?![\w.])"),
        "low",
        form="number",
    ),
    Shape(
        "a hexadecimal token",
        re.compile(rb"(?i)(?<![0-9a-z])(?:0x)?(?=[a-f0-9]*[0-9])[0-9a-f]{6,256}(?![0-9a-z])"),
        "low",
        opaque=True,
    ),
    Shape(
        "a base64 token",
        re.compile(
            rb"(?<![A-Za-z0-9+/_-])(?=[A-Za-z0-9+/_-]*[0-9A-Z+/])[A-Za-z0-9+/_-]{16,4096}={0,2}(?![A-Za-z0-9+/=])"
        ),
        "low",
        opaque=True,
    ),
)

#: Tokens of letters and digits mixed as no language mixes them.
MIXED = re.compile(rb"(?<![A-Za-z0-9])(?=[A-Za-z]*[0-9])(?=[0-9]*[A-Za-z])[A-Za-z0-9]{6,64}(?![A-Za-z0-9])")

#: Letters alone, of both cases; and the words of a compound name.
CASES = re.compile(rb"(?<![A-Za-z0-9])(?=[A-Z]*[a-z])(?=[a-z]*[A-Z])[A-Za-z]{6,64}(?![A-Za-z0-9])")
HUMP = re.compile(rb"[A-Z]?[a-z]+|[A-Z]+")


def jumbled(token: bytes) -> bool:
    """Do upper and lower case change more often than in a name of several words?"""
    return len(token) < 2.5 * len(HUMP.findall(token))


def random_token(pair: Pair, _context: Context) -> Match | None:
    if not pair.text:
        return None
    for shape in SHAPES:
        found = [(left, right) for left, right in paired(shape.pattern, pair) if unlike(left[0], right[0])]
        if found:
            sizes = [len(token[0]) for tokens in found for token in tokens]
            # A number printed in hexadecimal loses its leading zero.
            alike = max(sizes) - min(sizes) <= (min(sizes) >= 12) or shape.form == "number"
            if shape.opaque and not alike:
                continue
            words = (
                f"both sides have {shape.name} in the same place, and nothing that is known of the builds gives "
                "either value"
            )
            return Match("randomness", shape.confidence, words, spans(found), form=shape.form, opaque=shape.opaque)
    found = [
        (left, right)
        for pattern in (MIXED, CASES)
        for left, right in paired(pattern, pair)
        if len(left[0]) == len(right[0])
        and unlike(left[0], right[0])
        and (pattern is MIXED or (jumbled(left[0]) and jumbled(right[0])))
    ]
    if found:
        return Match(
            "randomness",
            "low",
            "both sides have a token of mixed letters and digits in the same place",
            spans(found),
            opaque=True,
        )
    return None


#: Numbers of a series, and a fraction of one: what is drawn from a distribution looks so, and what is measured too.
NUMBERS = re.compile(rb"(?<![\w.])-?\d+(?:\.\d+)?(?:e-?\d+)?(?!\.?\w)")
FRACTION = re.compile(rb"(?<![\w.])-?0?\.\d{3,8}(?!\.?\w)")
#: Fewer numbers are no series.
SERIES = 4


def random_numbers(pair: Pair, _context: Context) -> Match | None:
    if not pair.text:
        return None
    found = paired(NUMBERS, pair)
    if len(found) < SERIES:
        found = paired(FRACTION, pair)
    words = "both sides have numbers in the same places that have nothing in common"
    return Match("randomness", "low", words, spans(found), form="number") if found else None


def random_letters(pair: Pair, _context: Context) -> Match | None:
    """A letter or two within a word, of those that ASCII does not have: nothing counts in these."""
    if not pair.text or len(pair.a) > 1 << 12:
        return None
    a, b = decoded(pair)
    if len(a) != len(b):
        return None
    places = [at for at, (x, y) in enumerate(zip(a, b, strict=True)) if x != y]
    letters = {letter for at in places for letter in (a[at], b[at])}
    beside = {near for at in places for near in (a[max(0, at - 1) : at] + a[at + 1 : at + 2]) if near.isalpha()}
    if not 0 < len(places) <= 2 or not beside or any(letter.isascii() or not letter.isalpha() for letter in letters):
        return None
    words = "both sides have a letter in the same place that is not the same"
    return Match("randomness", "low", words, [pair.changed()])


def unlike(a: bytes, b: bytes) -> bool:
    """Two random tokens agree in few places; two of one series (v1.2.3, v1.2.4) in most."""
    agree = sum(left == right for left, right in zip(a, b, strict=False))
    return agree <= max(len(a), len(b)) * 0.6


def random_bytes(pair: Pair, _context: Context) -> Match | None:
    """Stretches of at least eight bytes in which nearly every byte differs and no structure shows."""
    if pair.text:
        return None
    if len(pair.a) != len(pair.b):
        return _noise(pair)
    for start, end in differing_spans(pair.a, pair.b, 64):
        left, right = pair.a[start:end], pair.b[start:end]
        differing = sum(x != y for x, y in zip(left, right, strict=True))
        if (
            end - start < 7
            or differing < (end - start) * 0.85
            or min(len(set(left)), len(set(right))) < min(end - start, 256) * 0.5
        ):
            continue
        places = [((start, end), (start, end))]
        for at in range(max(0, end - 16), start + 1):
            if _uuid4(pair.a[at : at + 16]) and _uuid4(pair.b[at : at + 16]) and end <= at + 16:
                return Match(
                    "randomness",
                    "high",
                    "both sides have a random UUID (version 4) in the same place",
                    places,
                    form="binary",
                )
        everything = start == 0 and pair.offset == 0 and end == len(pair.a) and end > 64
        words = (
            "the whole content is noise on both sides"
            if everything
            else f"{end - start} bytes in the same place are noise on both sides"
        )
        return Match("randomness", "high" if everything else "low", words, places, form="binary", opaque=True)
    return None


def _noise(pair: Pair) -> Match | None:
    """Of unequal length, where nothing aligns: is what differs noise as a whole, on both sides?"""
    place_a, place_b = pair.changed()
    if not (is_noise(pair.a[slice(*place_a)]) and is_noise(pair.b[slice(*place_b)])):
        return None
    words = "what differs is noise on both sides: drawn at random, encrypted, or compressed"
    return Match("randomness", "low", words, [(place_a, place_b)], form="binary", opaque=True)


def is_noise(data: bytes) -> bool:
    """Nearly as many byte values, and no value more often, than in as many random bytes. Code and tables are not so."""
    if len(data) < 64:
        return False
    counts = Counter(data)
    expected = 256 * (1 - (255 / 256) ** len(data))
    return len(counts) >= 0.85 * expected and max(counts.values()) <= max(6, len(data) * 0.03)


def _uuid4(data: bytes) -> bool:
    return len(data) == 16 and data[6] >> 4 == 4 and data[8] >> 6 == 2


def large_number_bytes(pair: Pair, _context: Context) -> Match | None:
    """Four bytes, each of which differs: a number drawn, or a checksum. Of a count or an offset some would agree."""
    if pair.text or len(pair.a) != len(pair.b):
        return None
    places = []
    for start, end in differing_spans(pair.a, pair.b, 64):
        varied = min(len(set(side[start:end])) for side in (pair.a, pair.b)) >= 3
        if end - start == 4 and varied and all(pair.a[at] != pair.b[at] for at in range(start, end)):
            places.append(((start, end), (start, end)))
    if not places:
        return None
    words = "both sides have a number of four bytes in the same place, and all of them differ"
    return Match("randomness", "low", words, places, form="binary", opaque=True)
