"""The ways programs write an instant in text: each is decoded to epoch seconds and a resolution."""

from __future__ import annotations

import calendar
import re
from collections.abc import Callable
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
    day or year: a clock time recurs daily. `local` means that the zone is not known; `common`, that numbers which are
    no times often look so too."""

    seconds: float
    resolution: float
    period: float | None = None
    local: bool = False
    common: bool = False


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
    # Counted from 0, as JavaScript and Java's calendar do.
    "n": rb"(?P<n>1[01]|0?\d)",
    "d": rb"(?P<d>0?[1-9]|[12]\d|3[01])(?:st|nd|rd|th)?",
    "d2": rb"(?P<d>0[1-9]|[12]\d|3[01])",
    "H": rb"(?P<H>[01]?\d|2[0-3])",
    "H2": rb"(?P<H>[01]\d|2[0-3])",
    "M": rb"(?P<M>[0-5]\d)",
    "S": rb"(?P<S>[0-5]\d|60)(?:[.,]\d{1,9})?",
    "S2": rb"(?P<S>[0-5]\d|60)",
    # As numbers of their own, without leading zeros.
    "i": rb"(?P<M>[0-5]?\d)",
    "s": rb"(?P<S>[0-5]?\d|60)",
    "p": rb"(?:\s?(?P<p>[ap]\.?m\.?))?",
    "z": rb"(?:\s?(?P<z>[+-]\d\d(?::|')?\d\d'?|Z|[A-Z]{3,5})(?![A-Za-z0-9]))?",
    "a": rb"(?:(?:sun|mon|tue|wed|thu|fri|sat)[a-z]{0,6}\.?,?\s+)?",
}


def _date(match: re.Match[bytes]) -> Instant | None:
    """The instant that the named groups of a match spell; groups that are absent lower the resolution."""
    parts = {key: value for key, value in match.groupdict().items() if value is not None}
    month = (
        MONTHS[parts["b"][:3].lower()]
        if "b" in parts
        else int(parts.get("m", parts.get("n", b"0"))) + ("m" not in parts)
    )
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
        if {"b", "m", "n"} & parts.keys()
        else YEAR
    )
    if "Y" not in parts and "y" not in parts:
        if "d" not in parts:
            return Instant(seconds % DAY, resolution, period=DAY, local=True)
        return Instant(seconds, resolution, period=YEAR, local=True)
    return Instant(seconds, resolution, local=not (zone in UTC or zone[:1] in (b"+", b"-")), common=resolution > DAY)


def _year_day(match: re.Match[bytes]) -> Instant | None:
    day = int(match["j"])
    return (
        Instant(calendar.timegm((int(match["Y"]), 1, 1, 0, 0, 0, 0, 0, 0)) + (day - 1) * DAY, DAY, local=True)
        if 1 <= day <= 366
        else None
    )


def _number(base: int, unit: float, zero: float = 0) -> Callable[[re.Match[bytes]], Instant]:
    """A count of `unit` seconds since `zero`, in the group n."""
    return lambda match: Instant(int(match["n"], base) * unit + zero, 1)


def _days(match: re.Match[bytes]) -> Instant:
    return Instant(int(match["n"]) * DAY, DAY, common=True)


def since_1582(count: int) -> Instant:
    """What a UUID counts: tenths of microseconds since the calendar was reformed."""
    return Instant((count - 0x01B21DD213814000) / 1e7, 1)


def _uuid1(match: re.Match[bytes]) -> Instant:
    low, middle, high = match[0][:8], match[0][9:13], match[0][15:18]
    return since_1582(int(high + middle + low, 16))


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
#: Between the numbers of a list, which may be two lists: Erlang's {{Y,M,D},{h,m,s}}.
_COMMA = r"\s{0,4},\s{0,4}"
_BREAK = r"\s{0,4}(?:[}\])]\s{0,4},?\s{0,4}[{\[(]|,)\s{0,4}"
_LIST_CLOCK = f"{_BREAK}{{H}}{_COMMA}{{i}}{_COMMA}{{s}}"
_NAMED_MONTH = r"(?:(?:time|Month|Calendar)\.)?(?:{m}|{b})"
_FROM_0 = f"(?:Date(?:\\.UTC)?|[A-Za-z]{{0,12}}Calendar)\\({{Y}}{_COMMA}{{n}}{_COMMA}{{d}}"
#: The key of a part of a date, and what stands before its value.
_KEY = r"[,;\s]{1,4}[\"']?(?:tm_)?%s[\"']?\s{0,4}[:=]\s{0,4}"
_KEYS = "year[\"']?\\s{0,4}[:=]\\s{0,4}{Y}" + "".join(
    _KEY % word + part for word, part in (("mon(?:th)?", "{m}"), ("(?:m?day|dom)", "{d}"))
)
_KEYS_CLOCK = "".join(
    _KEY % word + part for word, part in (("hour", "{H}"), ("min(?:ute)?", "{i}"), ("sec(?:ond)?", "{s}"))
)
#: Seconds from the epoch to the year 1, from which .NET counts,
YEAR_1 = -62_135_596_800
#: to 1601, from which Windows does,
YEAR_1601 = -11_644_473_600
#: and to 1904, from which QuickTime and HFS do.
YEAR_1904 = -2_082_844_800
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
    # As in the volume descriptor of ISO 9660, and with milliseconds.
    _format("compact date with fractions", r"{Y}{m2}{d2}{H2}{M}{S2}\d{2,3}", r"(?<!\d)", r"(?!\d)"),
    _format("date of EXIF", r"{Y}:{m2}:{d2}[ T_]{H2}:{M}:{S}{z}"),
    _format("date as a list of numbers", f"{{Y}}{_COMMA}{_NAMED_MONTH}{_COMMA}{{d}}{_LIST_CLOCK}"),
    _format(
        "date whose months count from 0",
        _FROM_0 + _LIST_CLOCK,
    ),
    _format("date in named parts", _KEYS + _KEYS_CLOCK, r"(?<![0-9A-Za-z])(?:tm_)?"),
    _count("epoch in seconds", rb"(?<![\d.])(?P<n>\d{10})(?:\.\d{1,9})?(?!\d)", _number(10, 1)),
    _count("epoch in milliseconds", rb"(?<![\d.])(?P<n>\d{13})(?:\.\d+)?(?!\d)", _number(10, 1e-3)),
    _count("epoch in microseconds", rb"(?<![\d.])(?P<n>\d{16})(?!\d)", _number(10, 1e-6)),
    _count("microseconds since 1601", rb"(?<![\d.])(?P<n>1[34]\d{15})(?!\d)", _number(10, 1e-6, YEAR_1601)),
    _count("Windows time", rb"(?<![\d.])(?P<n>1[34]\d{16})(?!\d)", _number(10, 1e-7, YEAR_1601)),
    _count(".NET time", rb"(?<![\d.])(?P<n>6[34]\d{16})(?!\d)", _number(10, 1e-7, YEAR_1)),
    _count("seconds since 1904", rb"(?<![\d.])(?P<n>[34]\d{9})(?!\d)", _number(10, 1, YEAR_1904)),
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
    # PHP's uniqid: seconds, and five digits of microseconds.
    _count("uniqid", rb"(?<![0-9A-Za-z])(?P<n>[0-9a-f]{8})[0-9a-f]{5}(?![0-9A-Za-z])", _number(16, 1)),
    _count("epoch in hexadecimal nanoseconds", _HEX + rb"(?P<n>[0-9A-Fa-f]{16})(?![0-9A-Fa-f])", _number(16, 1e-9)),
    _count(
        "epoch in milliseconds in base 36",
        rb"(?<![0-9A-Za-z])(?P<n>[l-q][0-9a-z]{7})(?![0-9A-Za-z])",
        _number(36, 1e-3),
    ),
    _count("object id with a time", rb"(?<![0-9a-f])(?P<n>[0-9a-f]{8})[0-9a-f]{16}(?![0-9a-f])", _number(16, 1)),
    _count("ULID", rb"(?<![0-9A-Z])[0-7][0-9A-HJKMNP-TV-Z]{25}(?![0-9A-Z])", _ulid),
    _count("epoch in octal", rb"(?<!\d)(?P<n>0?[12][0-7]{10})(?!\d)", _number(8, 1)),
    _format("date", r"{a}{d}[ -]{b}[ -]{Y}"),
    _format("date", r"{a}{b}\s+{d},?\s+{Y}"),
    _format("date without a year", r"{a}{b}\s+{d}\s+{H2}:{M}(?::{S})?"),
    _format("date", r"{Y}[-/.]{m2}[-/.]{d2}"),
    _format("date of EXIF", r"{Y}:{m2}:{d2}"),
    _format("date as a list of numbers", f"[{{\\[(]\\s{{0,4}}{{Y}}{_COMMA}{_NAMED_MONTH}{_COMMA}{{d}}", ""),
    _format(
        "date whose months count from 0",
        _FROM_0,
    ),
    _format("date in named parts", _KEYS, r"(?<![0-9A-Za-z])(?:tm_)?"),
    _format("date", r"{d}[./-]{m}[./-]{Y}"),
    _format("date", r"{m}/{d}/{Y}"),
    _format("date", r"{m}/{d}/{y}"),
    _format("compact date", r"{Y}{m2}{d2}"),
    _format("month", r"{b},?\s+{Y}"),
    _format("month", r"{Y}-{m2}"),
    _format("clock time", r"{H}:{M}:{S}{p}", after=r"(?![0-9A-Za-z:])"),
    _format("clock time", r"{H2}:{M}{p}", before=r"(?<![0-9A-Za-z.:])", after=r"(?![0-9A-Za-z:])"),
    TimeFormat("year and day", re.compile(rb"(?<!\d)(?P<Y>20\d\d)[-.]?(?P<j>[0-3]\d\d)(?!\d)"), _year_day),
    _count("days since the epoch", rb"(?<![\d.])(?P<n>[12]\d{4})(?![\d.])", _days),
    _format("year", r"{Y}", before=r"(?<![0-9A-Za-z.])", after=r"(?![0-9A-Za-z])(?!\.\d)"),
)
#: Those that may tell the minute, in a zone that need not be known.
CLOCKS = tuple(form for form in TEXT if "M" in form.pattern.groupindex)
