"""The ways programs write an instant in bytes: each is decoded to epoch seconds and a resolution."""

from __future__ import annotations

import calendar
import struct
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from nix_repro.explain.causes.times import DAY, YEAR_1, YEAR_1601, YEAR_1904, Instant, since_1582

#: Seconds from the epoch to 2001, from which Apple counts,
_2001 = 978_307_200
#: and to the last day but one of 1899, from which spreadsheets and OLE do.
_1899 = -2_209_161_600
#: Years of which programs write the date in numbers of their own.
YEARS = range(1980, 2200)


class Binary(NamedTuple):
    """A time as bytes: how `size` bytes decode."""

    name: str
    size: int
    decode: Callable[[bytes], Instant | None]


def _instant(seconds: float) -> Instant | None:
    return Instant(seconds, 1) if 0 < seconds < 1 << 34 else None


def _packed(code: str, unit: float, zero: float = 0) -> Callable[[bytes], Instant | None]:
    unpack = struct.Struct(code).unpack

    def decode(data: bytes) -> Instant | None:
        return _instant(unpack(data)[0] * unit + zero)

    return decode


def _calendar(fields: Sequence[int], resolution: float = 1, *, local: bool = False) -> Instant | None:
    """The instant that year, month, day, hour, minute and second name; None when no calendar has it."""
    year, month, day, hour, minute, second = fields
    if year not in YEARS or not (1 <= month <= 12 and hour < 24 and minute < 60 and second < 61):
        return None
    if not 1 <= day <= calendar.monthrange(year, month)[1] or min(fields) < 0:
        return None
    return Instant(calendar.timegm((*fields, 0, 0, 0)), resolution, local=local)


def _dos(data: bytes) -> Instant | None:
    time, date = struct.unpack("<HH", data)
    fields = (
        (date >> 9) + 1980,
        date >> 5 & 15,
        date & 31,
        time >> 11,
        time >> 5 & 63,
        (time & 31) * 2,
    )
    return _calendar(fields, 2, local=True)


def _png(data: bytes) -> Instant | None:
    return _calendar(struct.unpack(">HBBBBB", data)) if data[0] in (7, 8) else None


def _iso9660(data: bytes) -> Instant | None:
    """Years since 1900, month, day, hour, minute, second, and quarters of an hour from UTC."""
    quarters = data[6] if data[6] < 128 else data[6] - 256
    if not -48 <= quarters <= 52 or (instant := _calendar((data[0] + 1900, *data[1:6]))) is None:
        return None
    return instant._replace(seconds=instant.seconds - quarters * 900)


def _numbers(code: str, order: Sequence[int], *, year: int = 0, month: int = 0) -> Callable[[bytes], Instant | None]:
    """Numbers of one width: `order` says where year, month, day, hour, minute and second are, `year` and `month` what
    has to be added to these."""
    unpack = struct.Struct(code).unpack

    def decode(data: bytes) -> Instant | None:
        numbers = unpack(data)
        if numbers[order[0]] + year not in YEARS:
            return None
        fields = [numbers[place] for place in order]
        return _calendar((fields[0] + year, fields[1] + month, *fields[2:]))

    return decode


def _digits(data: bytes) -> Instant | None:
    """Two decimal digits in a byte: 20 26 11 26 01 42 33."""
    if data[0] not in (0x19, 0x20, 0x21) or not (text := data.hex()).isdigit():
        return None
    return _calendar((int(text[:4]), *(int(text[at : at + 2]) for at in range(4, 14, 2))))


def _ticks(data: bytes) -> Instant | None:
    """.NET's, with the kind of the zone in the two highest bits."""
    return _instant((struct.unpack("<Q", data)[0] & (1 << 62) - 1) / 1e7 + YEAR_1)


def _uuid1(mark: str) -> Callable[[bytes], Instant | None]:
    """Its first half is written in either order; the other half never is."""
    unpack = struct.Struct(f"{mark}IHH").unpack_from

    def decode(data: bytes) -> Instant | None:
        low, middle, high = unpack(data)
        if high >> 12 != 1 or data[8] >> 6 != 2:
            return None
        return since_1582((high & 0xFFF) << 48 | middle << 32 | low)

    return decode


def _uuid7(data: bytes) -> Instant | None:
    if data[6] >> 4 != 7 or data[8] >> 6 != 2:
        return None
    return Instant(int.from_bytes(data[:6], "big") / 1e3, 1)


_ORDERS = (("<", "little"), (">", "big"))

BINARY: tuple[Binary, ...] = (
    *(
        Binary(
            f"{name}, {order}-endian",
            struct.calcsize(mark + code),
            _packed(mark + code, unit, zero),
        )
        for code, name, unit, zero in (
            ("Q", "64-bit milliseconds", 1e-3, 0),
            ("Q", "64-bit microseconds", 1e-6, 0),
            ("Q", "64-bit nanoseconds", 1e-9, 0),
            ("Q", "64-bit Windows time", 1e-7, YEAR_1601),
            ("d", "floating-point seconds", 1, 0),
            ("d", "floating-point milliseconds", 1e-3, 0),
            ("d", "floating-point seconds since 2001", 1, _2001),
            ("d", "floating-point days since 1899", DAY, _1899),
        )
        for mark, order in _ORDERS
    ),
    *(
        row
        for mark, order in _ORDERS
        for row in (
            Binary(
                f"six 16-bit numbers, {order}-endian",
                12,
                _numbers(f"{mark}6H", range(6)),
            ),
            Binary(
                f"eight 16-bit numbers, {order}-endian",
                16,
                _numbers(f"{mark}8H", (0, 1, 3, 4, 5, 6)),
            ),
            Binary(
                f"six 32-bit numbers, {order}-endian",
                24,
                _numbers(f"{mark}6i", range(6)),
            ),
            Binary(
                f"C's struct tm, {order}-endian",
                24,
                _numbers(f"{mark}6i", (5, 4, 3, 2, 1, 0), year=1900, month=1),
            ),
            Binary(f"UUID of version 1, {order}-endian", 16, _uuid1(mark)),
        )
    ),
    Binary("UUID of version 7", 16, _uuid7),
    Binary(".NET time", 8, _ticks),
    Binary("PNG time", 7, _png),
    Binary("decimal digits, two in a byte", 7, _digits),
    Binary("ISO 9660 time", 7, _iso9660),
    # What any four bytes may be comes last.
    *(
        Binary(f"{name}, {order}-endian", 4, _packed(f"{mark}I", 1, zero))
        for name, zero in (
            ("32-bit seconds", 0),
            ("32-bit seconds since 1904", YEAR_1904),
        )
        for mark, order in _ORDERS
    ),
    Binary("DOS time", 4, _dos),
)


def binary_candidates(data: bytes, start: int, end: int) -> Iterator[tuple[Binary, int]]:
    """Every format and position whose bytes reach into [start, end)."""
    for form in BINARY:
        for position in range(max(0, start - form.size + 1), min(end, len(data) - form.size + 1)):
            yield form, position
