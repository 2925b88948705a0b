"""The ways programs write an instant, in text and in binary: each is decoded to epoch seconds and a resolution."""

from __future__ import annotations

import calendar
import re
import struct
from collections.abc import Callable, Iterator
from typing import NamedTuple

#: Seconds.
DAY = 86400
#: Seconds, those of a leap year.
YEAR = 366 * DAY
MONTHS = {
    name: number
    for number, name in enumerate(
        (b"jan", b"feb", b"mar", b"apr", b"may", b"jun", b"jul", b"aug", b"sep", b"oct", b"nov", b"dec"), 1
    )
}
UTC = (b"z", b"utc", b"gmt")


class Instant(NamedTuple):
    """Some time in [seconds, seconds + resolution) after the epoch. With a `period` of DAY or YEAR, of every
    day or year: a clock time recurs daily. `local` means that the zone is not known."""

    seconds: float
    resolution: float
    period: float | None = None
    local: bool = False


class TimeFormat(NamedTuple):
    name: str
    pattern: re.Pattern[bytes]
    decode: Callable[[re.Match[bytes]], Instant | None]


_PARTS = {
    "Y": rb"(?P<Y>(?:19|20)\d\d)",
    "y": rb"(?P<y>\d\d)",
    "m": rb"(?P<m>0?[1-9]|1[0-2])",
    "m2": rb"(?P<m>0[1-9]|1[0-2])",
    "b": rb"(?P<b>(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]{0,6})\.?",
    "d": rb"(?P<d>0?[1-9]|[12]\d|3[01])(?:st|nd|rd|th)?",
    "d2": rb"(?P<d>0[1-9]|[12]\d|3[01])",
    "H": rb"(?P<H>[01]?\d|2[0-3])",
    "H2": rb"(?P<H>[01]\d|2[0-3])",
    "M": rb"(?P<M>[0-5]\d)",
    "S": rb"(?P<S>[0-5]\d|60)(?:[.,]\d{1,9})?",
    "S2": rb"(?P<S>[0-5]\d|60)",
    "p": rb"(?:\s?(?P<p>[ap]\.?m\.?))?",
    "z": rb"(?:\s?(?P<z>[+-]\d\d(?::|')?\d\d'?|Z|[A-Z]{3,5})(?![A-Za-z0-9]))?",
    "a": rb"(?:(?:sun|mon|tue|wed|thu|fri|sat)[a-z]{0,6}\.?,?\s+)?",
}


def _date(match: re.Match[bytes]) -> Instant | None:
    """The instant that the named groups of a match spell; groups that are absent lower the resolution."""
    parts = {key: value for key, value in match.groupdict().items() if value is not None}
    month = MONTHS[parts["b"][:3].lower()] if "b" in parts else int(parts.get("m", b"1"))
    year = int(parts["Y"]) if "Y" in parts else 2000 + int(parts["y"]) if "y" in parts else 1972
    day = int(parts.get("d", b"1"))
    if day > calendar.monthrange(year, month)[1]:
        return None
    hour, minute, second = (int(parts.get(key, b"0")) for key in "HMS")
    if (half := parts.get("p")) is not None:
        if hour > 12:
            return None
        hour = hour % 12 + (12 if half[:1].lower() == b"p" else 0)
    seconds = calendar.timegm((year, month, day, hour, minute, second, 0, 0, 0))
    zone = parts.get("z", b"").lower()
    if zone[:1] in (b"+", b"-"):
        digits = re.sub(rb"\D", b"", zone)
        seconds -= (int(digits[:2]) * 3600 + int(digits[2:4]) * 60) * (-1 if zone[:1] == b"-" else 1)
    resolution = (
        1
        if "S" in parts
        else 60
        if "M" in parts
        else DAY
        if "d" in parts
        else 31 * DAY
        if "b" in parts or "m" in parts
        else YEAR
    )
    if "Y" not in parts and "y" not in parts:
        if "d" not in parts:
            return Instant(seconds % DAY, resolution, period=DAY, local=True)
        return Instant(seconds, resolution, period=YEAR, local=True)
    return Instant(seconds, resolution, local=not (zone in UTC or zone[:1] in (b"+", b"-")))


def _year_day(match: re.Match[bytes]) -> Instant | None:
    day = int(match["j"])
    return (
        Instant(calendar.timegm((int(match["Y"]), 1, 1, 0, 0, 0, 0, 0, 0)) + (day - 1) * DAY, DAY, local=True)
        if 1 <= day <= 366
        else None
    )


def _number(base: int, unit: float, resolution: float = 1) -> Callable[[re.Match[bytes]], Instant]:
    """A count of `unit` seconds since the epoch, in the group n or the whole match."""
    return lambda match: Instant(int(match["n"], base) * unit, resolution)


def _uuid1(match: re.Match[bytes]) -> Instant:
    low, middle, high = match[0][:8], match[0][9:13], match[0][15:18]
    return Instant((int(high + middle + low, 16) - 0x01B21DD213814000) / 1e7, 1)


def _pattern(template: str) -> re.Pattern[bytes]:
    """A pattern from a template in which {Y} and the like stand for the parts of a date."""
    return re.compile(
        re.sub(r"\{([A-Za-z]2?)\}", lambda part: _PARTS[part[1]].decode("latin-1"), template).encode("latin-1"),
        re.IGNORECASE,
    )


_CROCKFORD = {char: number for number, char in enumerate(b"0123456789ABCDEFGHJKMNPQRSTVWXYZ")}


def _ulid(match: re.Match[bytes]) -> Instant:
    number = 0
    for char in match[0][:10]:
        number = number << 5 | _CROCKFORD[char]
    return Instant(number / 1e3, 1)


def _format(
    name: str, template: str, before: str = r"(?<![0-9A-Za-z])(?<!\d[.:])", after: str = r"(?![0-9A-Za-z])(?!:\d)"
) -> TimeFormat:
    """A date format, kept off other digits and letters."""
    return TimeFormat(name, _pattern(before + template + after), _date)


def _count(name: str, pattern: bytes, decode: Callable[[re.Match[bytes]], Instant]) -> TimeFormat:
    return TimeFormat(name, re.compile(pattern), decode)


_CLOCK = r"{H}:{M}(?::{S})?{p}{z}"
_HEX = rb"(?<![0-9A-Fa-f])(?:0[xX])?"

#: The most telling first: what one format explains, the next no longer sees.
TEXT: tuple[TimeFormat, ...] = (
    _format("ISO 8601", r"{Y}-{m2}-{d2}[T _]{H2}:{M}(?::{S})?{z}"),
    _format("date", r"{a}{b}\s+{d}\s+{H}:{M}:{S}{p}(?:\s[A-Z]{3,5}|\s[+-]\d{4})?\s+{Y}"),
    _format("date", r"{a}{d}[ -]{b}[ -]{Y},?(?:\sat)?\s" + _CLOCK),
    _format("date", r"{a}{b}\s+{d},?\s{Y},?(?:\sat)?\s" + _CLOCK),
    _format("date", r"{Y}/{m2}/{d2}[ T]" + _CLOCK),
    _format("date", r"{Y}-{m2}-{d2}[-_.]{H2}[-_.]{M}(?:[-_.]{S2})?"),
    _format("date", r"{d}[./-]{m}[./-]{Y},?\s" + _CLOCK),
    _format("date", r"{m}/{d}/{Y},?\s" + _CLOCK),
    _format("date", r"{m}/{d}/{y},?\s" + _CLOCK),
    _format("compact date", r"{Y}{m2}{d2}[T_.-]?{H2}{M}(?:{S2})?(?P<z>Z|[+-]\d\d:?'?\d\d'?)?", r"(?<!\d)", r"(?!\d)"),
    _format("UTCTime", r"{y}{m2}{d2}{H2}{M}{S2}(?P<z>Z)", r"(?<!\d)", ""),
    _count("epoch in seconds", rb"(?<![\d.])(?P<n>\d{10})(?:\.\d{1,9})?(?!\d)", _number(10, 1)),
    _count("epoch in milliseconds", rb"(?<![\d.])(?P<n>\d{13})(?:\.\d+)?(?!\d)", _number(10, 1e-3)),
    _count("epoch in microseconds", rb"(?<![\d.])(?P<n>\d{16})(?!\d)", _number(10, 1e-6)),
    _count("epoch in nanoseconds", rb"(?<![\d.])(?P<n>\d{19})(?!\d)", _number(10, 1e-9)),
    _count(
        "UUID of version 1",
        rb"(?i)(?<![0-9a-f])[0-9a-f]{8}-[0-9a-f]{4}-1[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}(?![0-9a-f])",
        _uuid1,
    ),
    _count(
        "UUID of version 7",
        rb"(?i)(?<![0-9a-f])(?P<n>[0-9a-f]{8}-[0-9a-f]{4})-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}(?![0-9a-f])",
        lambda match: Instant(int(match["n"].replace(b"-", b""), 16) / 1e3, 1),
    ),
    _count("epoch in hexadecimal", _HEX + rb"(?P<n>[0-9A-Fa-f]{8})(?![0-9A-Fa-f])", _number(16, 1)),
    _count("epoch in hexadecimal milliseconds", _HEX + rb"(?P<n>[0-9A-Fa-f]{11,12})(?![0-9A-Fa-f])", _number(16, 1e-3)),
    _count("object id with a time", rb"(?<![0-9a-f])(?P<n>[0-9a-f]{8})[0-9a-f]{16}(?![0-9a-f])", _number(16, 1)),
    _count("ULID", rb"(?<![0-9A-Z])[0-7][0-9A-HJKMNP-TV-Z]{25}(?![0-9A-Z])", _ulid),
    _count("epoch in octal", rb"(?<!\d)(?P<n>0?[12][0-7]{10})(?!\d)", _number(8, 1)),
    _format("date", r"{a}{d}[ -]{b}[ -]{Y}"),
    _format("date", r"{a}{b}\s+{d},?\s+{Y}"),
    _format("date without a year", r"{a}{b}\s+{d}\s+{H2}:{M}(?::{S})?"),
    _format("date", r"{Y}[-/.]{m2}[-/.]{d2}"),
    _format("date", r"{d}[./-]{m}[./-]{Y}"),
    _format("date", r"{m}/{d}/{Y}"),
    _format("date", r"{m}/{d}/{y}"),
    _format("compact date", r"{Y}{m2}{d2}"),
    _format("month", r"{b},?\s+{Y}"),
    _format("month", r"{Y}-{m2}"),
    _format("clock time", r"{H}:{M}:{S}{p}", after=r"(?![0-9A-Za-z:])"),
    _format("clock time", r"{H2}:{M}{p}", before=r"(?<![0-9A-Za-z.:])", after=r"(?![0-9A-Za-z:])"),
    TimeFormat("year and day", re.compile(rb"(?<!\d)(?P<Y>20\d\d)[-.]?(?P<j>[0-3]\d\d)(?!\d)"), _year_day),
    _count("days since the epoch", rb"(?<![\d.])(?P<n>[12]\d{4})(?![\d.])", _number(10, DAY, DAY)),
    _format("year", r"{Y}", before=r"(?<![0-9A-Za-z.])", after=r"(?![0-9A-Za-z])(?!\.\d)"),
)


class Binary(NamedTuple):
    """A time as bytes: how `size` bytes decode."""

    name: str
    size: int
    decode: Callable[[bytes], Instant | None]


def _packed(code: str, unit: float, zero: float = 0) -> Callable[[bytes], Instant | None]:
    unpack = struct.Struct(code).unpack

    def decode(data: bytes) -> Instant | None:
        seconds = unpack(data)[0] * unit + zero
        return Instant(seconds, 1) if 0 < seconds < 1 << 34 else None

    return decode


def _dos(data: bytes) -> Instant | None:
    time, date = struct.unpack("<HH", data)
    fields = (date >> 9) + 1980, date >> 5 & 15, date & 31, time >> 11, time >> 5 & 63, (time & 31) * 2
    if not (1 <= fields[1] <= 12 and 1 <= fields[2] <= 31 and fields[3] < 24 and fields[4] < 60 and fields[5] < 60):
        return None
    return Instant(calendar.timegm((*fields, 0, 0, 0)), 2, local=True)


def _png(data: bytes) -> Instant | None:
    fields = struct.unpack(">HBBBBB", data)
    if not (
        1980 <= fields[0] < 2200
        and 1 <= fields[1] <= 12
        and 1 <= fields[2] <= 31
        and fields[3] < 24
        and fields[4] < 60
        and fields[5] < 61
    ):
        return None
    return Instant(calendar.timegm((*fields, 0, 0, 0)), 1)


#: Seconds from the epoch to 1601, from which Windows counts,
_1601 = -11_644_473_600
#: and to 1904, from which QuickTime and HFS do.
_1904 = -2_082_844_800

BINARY: tuple[Binary, ...] = (
    *(
        Binary(f"{name}, {order}-endian", struct.calcsize(mark + code), _packed(mark + code, unit, zero))
        for code, name, unit, zero in (
            ("Q", "64-bit milliseconds", 1e-3, 0),
            ("Q", "64-bit microseconds", 1e-6, 0),
            ("Q", "64-bit nanoseconds", 1e-9, 0),
            ("Q", "64-bit Windows time", 1e-7, _1601),
            ("d", "floating-point seconds", 1, 0),
            ("I", "32-bit seconds", 1, 0),
            ("I", "32-bit seconds since 1904", 1, _1904),
        )
        for mark, order in (("<", "little"), (">", "big"))
    ),
    Binary("PNG time", 7, _png),
    Binary("DOS time", 4, _dos),
)


def binary_candidates(data: bytes, start: int, end: int) -> Iterator[tuple[Binary, int]]:
    """Every format and position whose bytes reach into [start, end)."""
    for form in BINARY:
        for position in range(max(0, start - form.size + 1), min(end, len(data) - form.size + 1)):
            yield form, position
