"""Every way to write an instant is read back as that instant, and what is none is read as none."""

from __future__ import annotations

import struct
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nix_repro.explain.causes.binary_times import BINARY, Binary
from nix_repro.explain.causes.times import DAY, TEXT, Instant
from sides import STARTED, explain

T1, T2 = STARTED + 3, STARTED + 1204
#: From 2004, since when the count of seconds has eleven octal digits, to 2033.
instants = st.integers(1_100_000_000, 2_000_000_000)


def read(text: bytes) -> list[tuple[str, Instant]]:
    """What each format reads in the whole of a text."""
    found = ((form, form.pattern.fullmatch(text)) for form in TEXT)
    return [(form.name, instant) for form, match in found if match and (instant := form.decode(match)) is not None]


def holds(instant: Instant, seconds: float) -> bool:
    return instant.seconds <= seconds < instant.seconds + instant.resolution


@given(
    instants,
    st.sampled_from(
        [
            ("%Y-%m-%dT%H:%M:%SZ", 1),
            ("%Y-%m-%d %H:%M", 60),
            ("%a, %d %b %Y %H:%M:%S +0000", 1),
            ("%b %d, %Y at %I:%M:%S %p", 1),
            ("%Y/%m/%d %H:%M:%S", 1),
            ("%Y-%m-%d-%H-%M-%S", 1),
            ("%Y%m%d%H%M%S", 1),
            ("%d %B %Y", DAY),
            ("%Y-%m-%d", DAY),
            ("%Y-%j", DAY),
            ("%Y%m%d", DAY),
            ("%b %Y", 31 * DAY),
            ("%Y", 366 * DAY),
        ]
    ),
)
def test_dates_are_read_as_the_instants_they_spell(seconds: int, form: tuple[str, int]) -> None:
    template, resolution = form
    text = time.strftime(template, time.gmtime(seconds)).encode()
    assert any(instant.resolution == resolution and holds(instant, seconds) for _, instant in read(text))


@given(instants, st.integers(-11 * 4, 13 * 4))
def test_a_zone_is_taken_into_account(seconds: int, quarters: int) -> None:
    local = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds + quarters * 900))
    hours, minutes = divmod(abs(quarters) * 15, 60)
    (_, instant), *_ = read(f"{local}{'-' if quarters < 0 else '+'}{hours:02}:{minutes:02}".encode())
    assert (instant.seconds, instant.local) == (seconds, False)


@given(instants)
def test_counts_are_read_as_the_instants_they_count_to(seconds: int) -> None:
    counts = [b"%d" % seconds, b"%d250" % seconds, b"%d250000" % seconds, b"%d250000000" % seconds]
    counts += [b"0x%x" % seconds, b"0%o" % seconds, b"%x" % seconds + b"0" * 16, b"%d" % (seconds // DAY)]
    counts.append(b"%08x-%04x-7abc-8abc-0123456789ab" % divmod(seconds * 1000, 1 << 16))
    for text in counts:
        assert any(holds(instant, seconds + 0.5) for _, instant in read(text)), text


ULID = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def ulid(seconds: int, rest: str) -> bytes:
    digits = [ULID[seconds * 1000 >> 5 * place & 31] for place in reversed(range(10))]
    return "".join(digits).encode() + rest.encode()


def test_an_identifier_that_begins_with_a_time_is_that_time(tmp_path: Path) -> None:
    """Although the rest of it is drawn at random: the time alone keeps it from being the same."""
    a, b = b"run " + ulid(T1, "QJ5K9YQXW7V3N8RT"), b"run " + ulid(T2, "M2E6ZB4H0CFGDS1A")
    (finding,) = explain(tmp_path, a, b)
    assert (finding.cause, finding.confidence) == ("timestamp", "high")
    assert "ULID" in finding.because


@pytest.mark.parametrize(
    "text",
    [b"2024-02-30", b"2023-02-29", b"31 Apr 2024", b"1 Jan 2024 13:00 PM", b"2024-000", b"2024-367", b"2024-13-01"],
)
def test_what_no_calendar_has_is_no_day(text: bytes) -> None:
    assert not [name for name, instant in read(text) if instant.resolution <= DAY]


def test_noon_and_midnight() -> None:
    for hour, text in ((0, b"12:00:00 am"), (12, b"12:00:00 PM"), (13, b"1:00:00 p.m.")):
        assert read(text)[0][1] == Instant(hour * 3600, 1, period=DAY, local=True)


MOMENT = time.gmtime(T1)


@pytest.mark.parametrize(
    ("name", "data", "seconds"),
    [
        ("64-bit nanoseconds, little-endian", struct.pack("<Q", T1 * 10**9 + 7), T1),
        ("64-bit Windows time, little-endian", struct.pack("<Q", (T1 + 11_644_473_600) * 10**7), T1),
        ("32-bit seconds since 1904, big-endian", struct.pack(">I", T1 + 2_082_844_800), T1),
        ("PNG time", struct.pack(">HBBBBB", *MOMENT[:6]), T1),
        (
            "DOS time",
            struct.pack("<HH", 7 << 11 | 8 << 5 | MOMENT.tm_sec // 2, (2024 - 1980) << 9 | 5 << 5 | 6),
            T1 - T1 % 2,
        ),
    ],
)
def test_times_as_bytes(name: str, data: bytes, seconds: int) -> None:
    (form,) = [form for form in BINARY if form.name == name]
    instant = form.decode(data)
    assert instant is not None
    assert holds(instant, seconds)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("PNG time", struct.pack(">HBBBBB", 2024, 13, 6, 7, 8, 3)),
        ("PNG time", struct.pack(">HBBBBB", 65535, 1, 1, 0, 0, 0)),
        ("DOS time", struct.pack("<HH", 7 << 11 | 8 << 5, 44 << 9 | 15 << 5 | 6)),
        ("DOS time", struct.pack("<HH", 31 << 11, 44 << 9 | 5 << 5 | 6)),
        ("floating-point seconds, little-endian", struct.pack("<d", float("nan"))),
        ("64-bit milliseconds, little-endian", b"\xff" * 8),
    ],
)
def test_bytes_that_are_no_time(name: str, data: bytes) -> None:
    (form,) = [form for form in BINARY if form.name == name]
    assert form.decode(data) is None


@given(st.sampled_from(BINARY), st.data())
def test_any_bytes_are_a_time_or_none(form: Binary, draw: st.DataObject) -> None:
    instant = form.decode(draw.draw(st.binary(min_size=form.size, max_size=form.size)))
    assert instant is None or instant.resolution > 0
