"""A timestamp is one only when both sides decode to times in their own build's window."""

from __future__ import annotations

import gzip
import io
import struct
import time
import uuid
from typing import TYPE_CHECKING

import pytest

from nix_repro.explain.context import Context, Side
from sides import BUILDS, STARTED, UNKNOWN, explain

if TYPE_CHECKING:
    from pathlib import Path

T1, T2 = STARTED + 3, STARTED + 1204


def both(template: str) -> tuple[bytes, bytes]:
    return time.strftime(template, time.gmtime(T1)).encode(), time.strftime(template, time.gmtime(T2)).encode()


def uuid1(seconds: int) -> bytes:
    ticks = seconds * 10_000_000 + 0x01B21DD213814000
    return str(
        uuid.UUID(fields=(ticks & 0xFFFFFFFF, ticks >> 32 & 0xFFFF, (ticks >> 48) | 0x1000, 0x80, 1, 0x0242AC110002))
    ).encode()


@pytest.mark.parametrize(
    "template",
    [
        "%Y-%m-%dT%H:%M:%SZ",
        "%Y-%m-%d %H:%M:%S+00:00",
        "%a %b %d %H:%M:%S UTC %Y",
        "%a, %d %b %Y %H:%M:%S +0000",
        "%d.%m.%Y %H:%M:%S",
        "%m/%d/%Y %I:%M:%S %p",
        "%B %d, %Y at %I:%M:%S %p",
        "%d %B %Y %H:%M",
        "%Y%m%d%H%M%S",
        "%Y%m%d-%H%M",
        "%Y%m%dT%H%M%SZ",
        "D:%Y%m%d%H%M%S+00'00'",
        "%y%m%d%H%M%SZ",
        "compiled %H:%M:%S",
        "-rw-r--r-- 1 root root 4 May  6 %H:%M name",
    ],
)
def test_dates_in_text(tmp_path: Path, template: str) -> None:
    a, b = both(template)
    (finding,) = explain(tmp_path, b"built: " + a + b"\nversion 1.0\n", b"built: " + b + b"\nversion 1.0\n")
    assert (finding.cause, finding.confidence) == ("timestamp", "high")
    assert finding.fix
    assert finding.snippet


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (b"t=%d" % T1, b"t=%d" % T2),
        (b"t=%d.25" % T1, b"t=%d.75" % T2),
        (b"t=%d123" % T1, b"t=%d456" % T2),
        (b"t=%d123456789" % T1, b"t=%d987654321" % T2),
        (b"t=0x%x" % T1, b"t=0x%x" % T2),
        (b"id " + uuid1(T1), b"id " + uuid1(T2)),
        (b"HEAD\0\0" + struct.pack("<I", T1) + b"\0\xff" * 9, b"HEAD\0\0" + struct.pack("<I", T2) + b"\0\xff" * 9),
        (
            b"HEAD\0\0" + struct.pack(">Q", T1 * 1000) + b"\0\xff" * 9,
            b"HEAD\0\0" + struct.pack(">Q", T2 * 1000 + 7) + b"\0\xff" * 9,
        ),
        (
            b"\0\xff\0\xfe" + struct.pack("<d", T1 + 0.5) + b"\0\xff" * 9,
            b"\0\xff\0\xfe" + struct.pack("<d", T2 + 0.5) + b"\0\xff" * 9,
        ),
    ],
)
def test_counts_since_the_epoch(tmp_path: Path, a: bytes, b: bytes) -> None:
    (finding,) = explain(tmp_path, a, b)
    assert (finding.cause, finding.confidence) == ("timestamp", "high")


@pytest.mark.parametrize(
    ("a", "b"),
    [
        # Dates, but of neither build.
        (b"released 2019-01-02T03:04:05Z", b"released 2020-01-02T03:04:05Z"),
        # The first lies in its window, the second not.
        (b"t=%d" % T1, b"t=%d" % (T2 + 5000)),
        # Each in the other's window.
        (b"t=%d" % T2, b"t=%d" % T1),
        # Version numbers, ratios, addresses of hosts: shaped like times, out of the windows.
        (b"version 10.12.4", b"version 10.12.5"),
        (b"scale 4:03", b"scale 4:30"),
        (b"::1 fe80:12:34", b"::1 fe80:12:35"),
        # A known point with the same digits inside a longer number.
        (b"n=9%d9" % T1, b"n=9%d9" % T2),
        (b"HEAD\0\0" + struct.pack("<I", 77) + b"\0\xff" * 9, b"HEAD\0\0" + struct.pack("<I", 78) + b"\0\xff" * 9),
        # Times of the builds, had they been ten hours later.
        (
            b"HEAD\0\0" + struct.pack("<I", T1 + 36000) + b"\0\xff" * 9,
            b"HEAD\0\0" + struct.pack("<I", T2 + 36000) + b"\0\xff" * 9,
        ),
    ],
)
def test_near_misses(tmp_path: Path, a: bytes, b: bytes) -> None:
    assert "timestamp" not in {finding.cause for finding in explain(tmp_path, a, b)}


def test_local_time_of_a_zone_that_is_not_known(tmp_path: Path) -> None:
    a, b = (time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(at + 9 * 3600)).encode() for at in (T1, T2))
    (finding,) = explain(tmp_path, a, b)
    assert (finding.cause, finding.confidence) == ("timestamp", "high")


def test_without_windows_a_timestamp_is_a_guess_at_most(tmp_path: Path) -> None:
    (finding,) = explain(tmp_path, b"t=%d" % T1, b"t=%d" % T2, UNKNOWN)
    assert (finding.cause, finding.confidence) == ("timestamp", "low")
    assert all(item.cause != "timestamp" for item in explain(tmp_path, b"t=%d" % T2, b"t=%d" % T1, UNKNOWN))
    assert all(
        item.cause != "timestamp"
        for item in explain(tmp_path, b"\0\xff" + struct.pack("<I", T1), b"\0\xff" + struct.pack("<I", T2), UNKNOWN)
    )


def test_only_the_day_when_the_builds_ran_on_different_days(tmp_path: Path) -> None:
    context = Context(a=BUILDS.a, b=Side(window=(STARTED + 400 * 86400, STARTED + 400 * 86400 + 10)))
    (finding,) = explain(tmp_path, b"Copyright (c) 2001-2024 Us", b"Copyright (c) 2001-2025 Us", context)
    assert (finding.cause, finding.confidence) == ("timestamp", "high")
    # The same years say nothing when both builds ran in one year.
    assert explain(tmp_path, b"Copyright (c) 2001-2024 Us", b"Copyright (c) 2001-2025 Us")[0].cause == "unknown"


def test_several_causes_in_one_line_are_several_findings(tmp_path: Path) -> None:
    a, b = both("%H:%M:%S")
    left = b"[" + a + b"] id 9b2d7a54-8f2f-4d2c-9e0a-0a2b6f6a7c11 in /build/src"
    right = b"[" + b + b"] id 3f1c2e90-1d7b-4a55-8c1d-77aa10b2c3d4 in /build2/src"
    assert {finding.cause for finding in explain(tmp_path, left, right)} == {"timestamp", "randomness", "build-path"}


def test_gzip_header_and_content_are_told_apart(tmp_path: Path) -> None:
    def packed(mtime: int, text: bytes) -> bytes:
        out = io.BytesIO()
        with gzip.GzipFile(fileobj=out, mode="wb", mtime=mtime) as file:
            file.write(text)
        return out.getvalue()

    header = explain(tmp_path, {"x.gz": packed(T1, b"same")}, {"x.gz": packed(T2, b"same")})
    assert [(item.cause, "gzip -n" in (item.snippet or "")) for item in header] == [("timestamp", True)]
    content = explain(tmp_path, {"x.gz": packed(0, b"at %d" % T1)}, {"x.gz": packed(0, b"at %d" % T2)})
    assert [(item.cause, "decompressed content" in item.because) for item in content] == [("timestamp", True)]
    elsewhere = explain(tmp_path, {"x.gz": packed(7, b"same")}, {"x.gz": packed(8, b"same")})
    assert [item.cause for item in elsewhere] == ["archive-metadata"]


def told(tmp_path: Path, a: bytes, b: bytes, context: Context) -> list[tuple[str, str]]:
    return [(item.cause, item.confidence) for item in explain(tmp_path, a, b, context)]


#: Of the first build it is known since when the store has it, or that it was there before the rebuild began.
UNSEEN = [Context(a=Side(before=STARTED + 600), b=BUILDS.b), Context(b=BUILDS.b)]


@pytest.mark.parametrize("context", UNSEEN, ids=["registered", "unknown"])
@pytest.mark.parametrize("earlier", [1_000_000_000, T1 - 86400 * 365, T1])
def test_when_nobody_saw_the_first_build_its_time_is_any_before_the_rebuild(
    tmp_path: Path, context: Context, earlier: int
) -> None:
    assert told(tmp_path, b"t=%d\n" % earlier, b"t=%d\n" % T2, context) == [("timestamp", "high")]
    noise = bytes(range(128, 160))
    a, b = (noise + struct.pack("<I", at) + noise for at in (earlier, T2))
    assert told(tmp_path, a, b, context) == [("timestamp", "high")]


@pytest.mark.parametrize("context", UNSEEN, ids=["registered", "unknown"])
@pytest.mark.parametrize(
    ("a", "b"),
    [
        # Not the rebuild's.
        (b"t=%d" % T1, b"t=%d" % (T2 + 60)),
        (b"t=%d" % T1, b"t=%d" % (T2 - 60)),
        # The first build's is after the rebuild's start, or before anything was built so.
        (b"t=%d" % (T2 + 1), b"t=%d" % T2),
        (b"t=%d" % 900_000_000, b"t=%d" % T2),
        (b"t=9223372036", b"t=%d" % T2),
        # Sixteen digits of another year.
        (b"t=2021040506070800", b"t=2034050607280400"),
        (b"id=1735689600123456", b"id=2026112601423300"),
    ],
)
def test_what_is_not_the_rebuilds_time_is_none_whatever_the_first_builds_is(
    tmp_path: Path, a: bytes, b: bytes, context: Context
) -> None:
    assert "timestamp" not in {item.cause for item in explain(tmp_path, a, b, context)}


@pytest.mark.parametrize("context", UNSEEN, ids=["registered", "unknown"])
@pytest.mark.parametrize(
    ("a", "b"),
    [(b"at 11:12:13", b"at 07:28:04"), (b"in 2023", b"in 2024"), (b"n 19000", b"n %d" % (T2 // 86400))],
)
def test_what_often_looks_so_is_only_likely_when_nobody_saw_the_first_build(
    tmp_path: Path, a: bytes, b: bytes, context: Context
) -> None:
    assert told(tmp_path, a, b, context) == [("timestamp", "low")]


def test_a_time_after_the_store_had_the_first_build_is_not_of_it(tmp_path: Path) -> None:
    assert told(tmp_path, b"t=%d" % (STARTED + 700), b"t=%d" % T2, UNSEEN[0]) != [("timestamp", "high")]
    assert told(tmp_path, b"t=%d" % (STARTED + 700), b"t=%d" % T2, UNSEEN[1]) == [("timestamp", "high")]


def test_with_no_window_at_all_what_lies_in_the_future_is_no_time(tmp_path: Path) -> None:
    assert told(tmp_path, b"t=%d" % T1, b"t=%d" % T2, Context()) == [("timestamp", "low")]
    for a, b in ((b"t=2034000000000000", b"t=2034000000900000"), (b"t=%d" % (1 << 31), b"t=%d" % (1 << 31 | 9))):
        assert "timestamp" not in {item.cause for item in explain(tmp_path, a, b, Context())}
    # The rebuild had ended by then.
    assert told(tmp_path, b"t=%d" % T1, b"t=%d" % T2, Context(b=Side(before=T1 + 5))) != [("timestamp", "low")]
