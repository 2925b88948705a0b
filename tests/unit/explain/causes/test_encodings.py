"""Times in every notation: of both builds when both were seen, of the rebuild alone when only that was; and what only
looks so."""

from __future__ import annotations

import base64
import random
import struct
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from nix_repro.explain.context import Context
from sides import BUILDS, PRESENT, STARTED, explain, sure

T1, T2 = STARTED + 3, STARTED + 1204
#: Bytes that are no text and no time.
AROUND = bytes((number * 97 + 13) % 256 for number in range(40))

Write = Callable[[int], bytes]


def parts(seconds: int) -> tuple[int, ...]:
    return tuple(time.gmtime(seconds)[:6])


def text(template: str, *, month: int = 0) -> Write:
    """The six parts of a date as decimal numbers; months count from `month` + 1."""

    def write(seconds: int) -> bytes:
        year, number, *others = parts(seconds)
        return (template % (year, number + month, *others)).encode()

    return write


def packed(pack: Callable[[int], bytes]) -> Write:
    return lambda seconds: AROUND + pack(seconds) + AROUND


def tm(seconds: int) -> list[int]:
    year, month, *others = parts(seconds)
    return [*reversed(others), month - 1, year - 1900]


def uuid1(seconds: int) -> uuid.UUID:
    ticks = seconds * 10**7 + 0x01B21DD213814000
    return uuid.UUID(fields=(ticks & 0xFFFFFFFF, ticks >> 32 & 0xFFFF, ticks >> 48 | 0x1000, 0x80, 1, 0x0242AC110002))


def base36(number: int) -> bytes:
    digits = ""
    while number:
        number, digit = divmod(number, 36)
        digits = "0123456789abcdefghijklmnopqrstuvwxyz"[digit] + digits
    return digits.encode()


def little(seconds: int) -> bytes:
    return struct.pack("<I", seconds)


IN_TEXT: dict[str, Write] = {
    "an Erlang release": text("%% script generated at {%d,%d,%d} {%d,%d,%d}\n"),
    "an Erlang date and time": text("{built, {{%d,%d,%d},{%d,%d,%d}}}.\n"),
    "an Elixir tuple": text("@built {{%d, %d, %d}, {%d, %d, %d}}\n"),
    "a call in Go": text("var T = time.Date(%d, %d, %d, %d, %d, %d, 0, time.UTC)\n"),
    "a call in Go with the month's name": lambda at: (
        b"time.Date(%d, time.May, %d, %d, %d, %d, 0, time.UTC)\n" % (parts(at)[0], *parts(at)[2:])
    ),
    "a call in JavaScript": text("new Date(%d,%d,%d,%d,%d,%d)\n", month=-1),
    "UTC in JavaScript": text("Date.UTC(%d, %d, %d, %d, %d, %d)\n", month=-1),
    "a calendar in Java": text("new GregorianCalendar(%d, %d, %d, %d, %d, %d)\n", month=-1),
    "a call in Python": text("datetime.datetime(%d, %d, %d, %d, %d, %d)\n"),
    "a call in Ruby": text("Time.utc(%d, %d, %d, %d, %d, %d)\n"),
    "a list": text("[%d, %d, %d, %d, %d, %d]\n"),
    "a structure in Python": lambda at: f"{time.gmtime(at)!r}\n".encode(),
    "parts in JSON": text('{"year": %d, "month": %d, "day": %d, "hour": %d, "minute": %d, "second": %d}\n'),
    "parts in TOML": text("year = %d, month = %d, day = %d, hour = %d, min = %d, sec = %d\n"),
    "EXIF": text("DateTime %04d:%02d:%02d %02d:%02d:%02d\n"),
    "EXIF with a zone": text("OffsetTime %04d:%02d:%02d %02d:%02d:%02d+00:00\n"),
    "hundredths": text("volume %04d%02d%02d%02d%02d%02d00\n"),
    "milliseconds": text("stamp %04d%02d%02d%02d%02d%02d123\n"),
    "Windows": lambda at: b"ft=%d\n" % ((at + 11_644_473_600) * 10**7),
    "WebKit": lambda at: b"visited=%d\n" % ((at + 11_644_473_600) * 10**6),
    ".NET": lambda at: b"ticks=%d\n" % ((at + 62_135_596_800) * 10**7),
    "1904": lambda at: b"modified %d\n" % (at + 2_082_844_800),
    "uniqid": lambda at: b'id="%x0f3a%d"\n' % (at, at % 10),
    "sixteen digits": lambda at: b"t=%016x\n" % (at * 10**9),
    "base 36": lambda at: b'cache="%s"\n' % base36(at * 1000),
    "hexadecimal numbers": lambda at: b", ".join(b"0x%02x" % byte for byte in b"HEAD" + little(at)) + b",\n",
    "numbers in Pascal": lambda at: b",".join(b"$%02X" % byte for byte in b"HEAD" + little(at)) + b"\n",
    "decimal numbers": lambda at: (
        b"{%s}\n" % b",".join(b"%d" % byte for byte in b"HEAD" + struct.pack(">Q", at * 1000))
    ),
    "signed numbers": lambda at: b"{%s}\n" % b", ".join(b"%d" % n for n in struct.unpack("8b", b"HEAD" + little(at))),
    "a date as numbers": lambda at: b", ".join(b"%d" % byte for byte in time.asctime(time.gmtime(at)).encode()) + b"\n",
    "digits": lambda at: (b"HEADHEAD" + little(at) + b"tail").hex().encode() + b"\n",
    "a dump": lambda at: (b"HEADHEAD" + little(at) + b"tail").hex(" ", 2).encode() + b"\n",
    "digits with colons": lambda at: (b"HEAD" + little(at)).hex(":").encode() + b"\n",
    "escapes": lambda at: b's = "%s";\n' % b"".join(b"\\x%02x" % byte for byte in little(at)),
    "octal escapes": lambda at: b's = "%s";\n' % b"".join(b"\\%03o" % byte for byte in little(at)),
    "some escapes": lambda at: b"s = %s\n" % repr(b"ab\x00" + little(at)).encode(),
    "unicode escapes": lambda at: b's = "%s"\n' % b"".join(b"\\u%04x" % byte for byte in b"%d" % at),
    "percent": text("t=%d-%02d-%02d%%20%02d%%3A%02d%%3A%02d&x=1\n"),
    "quoted-printable": text("built=20%d-%02d-%02d=20%02d=3A%02d=3A%02d\n"),
    "character references": text("<a t='%d-%02d-%02d&#32;%02d&#x3a;%02d&#58;%02d'/>\n"),
    "base64 of an epoch": lambda at: b"x: %s\n" % base64.b64encode(b"id=4;t=%d;" % at),
    "base64 of a date": lambda at: b"x: %s\n" % base64.b64encode(time.asctime(time.gmtime(at)).encode()),
    "base64 of bytes": lambda at: b"x: %s\n" % base64.b64encode(b"ab" + little(at) + b"xx"),
    "base64 for an address": lambda at: (
        b"/x/%s/y\n" % base64.urlsafe_b64encode(b"\xfb\xff" + little(at) + b"x").rstrip(b"=")
    ),
}
IN_BYTES: dict[str, Write] = {
    "ICC": lambda at: b"\0\0\x02\x40lcms\4\4\0\0mntrRGB XYZ " + struct.pack(">6H", *parts(at)) + b"acsp" + bytes(200),
    "six numbers": packed(lambda at: struct.pack("<6H", *parts(at))),
    "SYSTEMTIME": packed(lambda at: struct.pack("<8H", *parts(at)[:2], 1, *parts(at)[2:], 7)),
    "six 32-bit numbers": packed(lambda at: struct.pack(">6i", *parts(at))),
    "struct tm": packed(lambda at: struct.pack("<6i", *tm(at))),
    "a directory's record": packed(lambda at: bytes([parts(at)[0] - 1900, *parts(at)[1:], 0])),
    "a record in another zone": packed(lambda at: bytes([parts(at)[0] - 1900, *parts(at + 7200)[1:], 8])),
    "a volume's descriptor": packed(text("%04d%02d%02d%02d%02d%02d00\0")),
    "packed digits": packed(lambda at: bytes.fromhex(text("%04d%02d%02d%02d%02d%02d")(at).decode())),
    "a UUID": packed(lambda at: uuid1(at).bytes),
    "a GUID": packed(lambda at: uuid1(at).bytes_le),
    "HFS": packed(lambda at: struct.pack(">I", at + 2_082_844_800)),
    "FILETIME": packed(lambda at: struct.pack("<Q", (at + 11_644_473_600) * 10**7)),
    ".NET": packed(lambda at: struct.pack("<Q", (at + 62_135_596_800) * 10**7 | 1 << 62)),
    "OLE": packed(lambda at: struct.pack("<d", at / 86400 + 25569)),
    "Cocoa": packed(lambda at: struct.pack(">d", at - 978_307_200)),
    "notes of coverage": lambda at: b"oncg*22B" + struct.pack("<I", at * 1000 & 0xFFFFFFFF) + bytes(20),
    "counts of coverage": lambda at: b"gcdaB42*" + struct.pack(">I", at * 1000 & 0xFFFFFFFF) + bytes(20),
    "an object with coverage": lambda at: (
        AROUND + b"*22B" + bytes(12) + struct.pack("<I", at * 1000 + 512 & 0xFFFFFFFF)
    ),
}


@pytest.mark.parametrize("context", [BUILDS, PRESENT], ids=["fresh", "present"])
@pytest.mark.parametrize("name", IN_TEXT)
def test_times_in_text(tmp_path: Path, name: str, context: Context) -> None:
    findings = explain(tmp_path, b"first\n" + IN_TEXT[name](T1), b"first\n" + IN_TEXT[name](T2), context)
    assert [(item.cause, item.confidence) for item in findings] == [("timestamp", "high")]


@pytest.mark.parametrize("context", [BUILDS, PRESENT], ids=["fresh", "present"])
@pytest.mark.parametrize("name", IN_BYTES)
def test_times_in_bytes(tmp_path: Path, name: str, context: Context) -> None:
    findings = explain(tmp_path, IN_BYTES[name](T1), IN_BYTES[name](T2), context)
    assert [(item.cause, item.confidence) for item in findings] == [("timestamp", "high")]


#: The first is what the first build has, the second what the rebuild has.
NEAR_MISSES: dict[str, tuple[bytes, bytes]] = {
    "versions": (b"version {2,5,6} {7,8,3}\n", b"version {2,5,6} {7,28,4}\n"),
    "versions by year": (b"v2024.5.6\n", b"v2024.5.7\n"),
    "ports": (b"listen 17149\n", b"listen 17151\n"),
    "sizes": (b"size 1714979\n", b"size 1714980\n"),
    "identities": (b"id 7149792831\n", b"id 7149804842\n"),
    "a list of other numbers": (b"[2024, 5, 6, 7, 8, 3]\n", b"[2024, 5, 6, 9, 33, 4]\n"),
    "a list of other bytes": (b"0x01,0x02,0x03,0x04\n", b"0x01,0x02,0x03,0x05\n"),
    "no month": (b"{2024,0,6} {7,8,3}\n", b"{2024,0,6} {7,28,4}\n"),
    "no day": (b"Date(2024,1,31,7,8,3)\n", b"Date(2024,1,31,7,28,4)\n"),
    "a tomorrow": (b"x 2024:05:07 08:18:03\n", b"x 2024:05:07 08:38:04\n"),
    "sixteen digits": (b"card 2024050607080300\n", b"card 2034050607280400\n"),
    "sixteen digits of a card": (b"card 4539148803436467\n", b"card 4556737586899855\n"),
    "years in prose": (b"founded in 1998 by two\n", b"founded in 2003 by two\n"),
    "base64 of something else": (
        b"x: %s\n" % base64.b64encode(b"ab" + little(77) + b"xx"),
        b"x: %s\n" % base64.b64encode(b"ab" + little(T1) + b"xx"),
    ),
    "escapes of something else": (b"s = '\\x01\\x02\\x03\\x04'\n", b"s = '\\x01\\x02\\x03\\x05'\n"),
    "six small numbers": (
        packed(lambda at: struct.pack(">6H", 3, 5, 6, 7, 8, at & 63))(T1),
        packed(lambda at: struct.pack(">6H", 3, 5, 6, 7, 8, at & 63))(T2),
    ),
    "packed hexadecimal digits": (AROUND + bytes.fromhex("2f240506070803"), AROUND + bytes.fromhex("2f240506072804")),
    "a digest where notes of coverage have a version": (
        b"head*22B" + little(T1) + bytes(20),
        b"head*22B" + little(T1 ^ 0xFFFF) + bytes(20),
    ),
    "a UUID of version 4": (
        AROUND + uuid.UUID("9b2d7a54-8f2f-4d2c-9e0a-0a2b6f6a7c11").bytes,
        AROUND + uuid.UUID("3f1c2e90-1d7b-4a55-8c1d-77aa10b2c3d4").bytes,
    ),
    # The rebuild's lies in its window; the first build's is later than it was in the store, or before computers were.
    "a future": (b"t=%d\n" % (STARTED + 5000), b"t=%d\n" % T2),
    "a past": (b"t=%d\n" % 900_000_000, b"t=%d\n" % T2),
}


@pytest.mark.parametrize("context", [BUILDS, PRESENT], ids=["fresh", "present"])
@pytest.mark.parametrize("name", NEAR_MISSES)
def test_what_is_no_time_is_not_called_one(tmp_path: Path, name: str, context: Context) -> None:
    a, b = NEAR_MISSES[name]
    assert "timestamp" not in {item.cause for item in explain(tmp_path, a, b, context)}


def test_a_time_and_something_else_in_one_code_are_two_causes(tmp_path: Path) -> None:
    """What is claimed is what spells the time; the rest goes on to other rules."""
    a, b = (
        b"x: " + base64.b64encode(b"%d " % at + token) + b"\n"
        for at, token in ((T1, b"Zq8vX1nW3kLm9pQr"), (T2, b"bT6yH2jK7dFs4gUa"))
    )
    assert [item.cause for item in explain(tmp_path, a, b)] == ["timestamp", "randomness"]


@pytest.mark.parametrize("name", ["a list", "EXIF", "hundredths"])
def test_of_the_rebuild_alone_a_time_in_another_zone_is_no_more_than_likely(tmp_path: Path, name: str) -> None:
    a, b = (b"x\n" + IN_TEXT[name](at + 9 * 3600) for at in (T1, T2))
    assert [(item.cause, item.confidence) for item in explain(tmp_path, a, b, PRESENT)] == [("timestamp", "low")]
    assert [(item.cause, item.confidence) for item in explain(tmp_path, a, b)] == [("timestamp", "high")]


def test_a_letter_that_is_not_utf_8_is_no_quotation_mark(tmp_path: Path) -> None:
    lines = b"".join(b"line %d: caf\xe9 na\xefve\n" % number for number in range(20))
    (finding,) = explain(tmp_path, lines + b"x\xe3y\n", lines + b"x\xf1y\n")
    assert (finding.cause, finding.confidence) == ("randomness", "low")
    (quotes,) = explain(tmp_path, "it\u2019s\n".encode(), b"it's\n")
    assert quotes.cause == "locale"


@pytest.mark.parametrize("context", [BUILDS, PRESENT], ids=["fresh", "present"])
def test_noise_holds_no_time_that_is_sure(tmp_path: Path, context: Context) -> None:
    """Sixty thousand readings of four bytes each, with a window of the rebuild in which one in a few thousand lies."""
    long = Context(a=context.a, b=type(context.b)(window=(STARTED + 700, STARTED + 700 + 200_000)))
    draw = random.Random(5)  # noqa: S311 (the same in every run)
    for _ in range(8):
        a, b = draw.randbytes(4000), draw.randbytes(4000)
        assert "timestamp" not in sure(explain(tmp_path, a, b, long))
        a, b = (b"x: %s\n" % base64.b64encode(draw.randbytes(3000)) for _ in range(2))
        assert "timestamp" not in sure(explain(tmp_path, a, b, long))
