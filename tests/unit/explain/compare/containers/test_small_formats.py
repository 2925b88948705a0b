"""Formats with a small reader of our own: what each keeps in its headers and in what it compresses."""

from __future__ import annotations

import io
import struct
import time
import zipfile
import zlib
from pathlib import Path

import pytest

from binaries import archive, member
from boxes import KINDS, android, cpio_binary, cpio_octal, iso, mo, pdf, png, rpm, sqlite, tar, uimage, zipped
from nix_repro.explain.budget import Budget
from nix_repro.report import Finding
from sides import STARTED, explain

T1 = STARTED + 1
T2 = STARTED + 1201
WHEN = (b"2024-05-06 07:08:01", b"2024-05-06 07:28:01")
Found = list[tuple[str, str, str]]


def told(findings: tuple[Finding, ...]) -> Found:
    return [(item.path, item.cause, item.confidence) for item in findings]


def seven(at: int) -> bytes:
    year, *rest = time.gmtime(at)[:6]
    return bytes([year - 1900, *rest, 0])


def digits(at: int) -> bytes:
    return time.strftime("%Y%m%d%H%M%S00", time.gmtime(at)).encode() + b"\0"


TIMES = {
    "PNG, compressed text": lambda at: png(b"row", (b"zTXt", b"date\0\0" + zlib.compress(b"made at %d" % at))),
    "PNG, international text": lambda at: png(
        b"row", (b"iTXt", b"date\0\1\0en\0date\0" + zlib.compress(b"made at %d" % at))
    ),
    "PNG, its time": lambda at: png(b"row", (b"tIME", struct.pack(">H5B", *time.gmtime(at)[:6]))),
    "PDF, objects in a stream": lambda at: pdf(
        b"1 0 << /CreationDate (D:%s) >>" % time.strftime("%Y%m%d%H%M%SZ", time.gmtime(at)).encode()
    ),
    "uImage": lambda at: uimage(b"data", at),
    "uImage, inside": lambda at: uimage(KINDS["gzip"](b"made at %d" % at)),
    "Android, a RAM disk": lambda at: android(KINDS["gzip"](b"made at %d" % at)),
    "Android, the command line": lambda at: android(b"data", b"built.at=%d" % at),
    "FIT image": lambda at: KINDS["device-tree"](struct.pack(">I", at)),
    "WebAssembly": lambda at: KINDS["wasm"](b"built at %d" % at),
    "gettext": lambda at: mo(b"Project-Id-Version: demo\nPO-Revision-Date: built at %d\n" % at),
    "SQLite": lambda at: sqlite(b"made at %d" % at),
    "ISO 9660, a file": lambda at: iso(b"data", seven(at)),
    "ISO 9660, the volume": lambda at: iso(b"data", volume=digits(at)),
    "RPM, its build time": lambda at: rpm(b"data", at),
    "RPM, its payload": lambda at: rpm(b"made at %d" % at),
    "cpio with octal headers": lambda at: cpio_octal((b"x", b"data"), at=at),
    "binary cpio": lambda at: cpio_binary((b"x", b"data"), at=at),
    "lzip": lambda at: KINDS["lzip"](b"made at %d" % at),
    "lzma": lambda at: KINDS["lzma"](b"made at %d" % at),
    "jmod": lambda at: b"JM\1\0" + zipped(b"made at %d" % at),
    "a tar archive in a zip archive's comment's place": lambda at: zipped(b"data") + tar(b"made at %d" % at),
}


@pytest.mark.parametrize("kind", TIMES)
def test_a_time_is_found(tmp_path: Path, kind: str) -> None:
    a, b = map(TIMES[kind], (T1, T2))
    findings = explain(tmp_path, {"file": a}, {"file": b})
    assert [(item.cause, item.confidence) for item in findings if item.cause != "unknown"] == [("timestamp", "high")]


def test_a_picture_packed_at_another_level_is_the_same(tmp_path: Path) -> None:
    row = bytes(range(200)) * 20
    a = png(row)
    packed = zlib.compress(b"\0" + row, 1)
    start, end = a.index(b"IDAT") - 4, a.index(b"IEND") - 4
    chunk = struct.pack(">I", len(packed)) + b"IDAT" + packed + struct.pack(">I", zlib.crc32(b"IDAT" + packed))
    (finding,) = explain(tmp_path, {"x.png": a}, {"x.png": a[:start] + chunk + a[end:]})
    assert finding.because.startswith("the content is equal; only the png packing differs")


def test_a_document_packed_at_another_level_has_offsets_that_are_not_read(tmp_path: Path) -> None:
    a, b = (pdf(b"some words " * 900, level=level) for level in (1, 9))
    (finding,) = explain(tmp_path, {"x.pdf": a}, {"x.pdf": b})
    assert (finding.cause, finding.confidence) == ("unknown", "low")


def deb(name: bytes, data: bytes) -> bytes:
    return archive(member(b"debian-binary", b"2.0\n"), member(name, data))


def test_the_members_of_packages_with_other_compressors_are_compared(tmp_path: Path) -> None:
    a, b = (
        deb(name, KINDS[kind](tar(b"made at %d\n" % at, "usr/share/date")))
        for name, kind, at in ((b"data.tar.xz", "xz", T1), (b"data.tar.zst", "zstd", T2))
    )
    findings = explain(tmp_path, {"x.deb": a}, {"x.deb": b})
    assert ("x.deb!data.tar.xz!usr/share/date", "timestamp", "high") in told(findings)
    assert ("x.deb!data.tar.xz", "archive-metadata", "high") in told(findings)
    assert any(item.because.startswith("other compressors wrote it: xz and zstd") for item in findings)


def test_pages_of_a_manual_with_other_compressors_are_compared(tmp_path: Path) -> None:
    a = {"man/tool.1.gz": KINDS["gzip"](b"made at %d\n" % T1), "man/same.1": b"same"}
    b = {"man/tool.1.zst": KINDS["zstd"](b"made at %d\n" % T2), "man/same.1": b"same"}
    assert ("man/tool.1.gz", "timestamp", "high") in told(explain(tmp_path, a, b))


def directory_first(data: bytes) -> bytes:
    """As Mozilla's packer writes omni.ja: the directory, then the members, then the end record."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        file.writestr(zipfile.ZipInfo("x"), data)
    whole = out.getvalue()
    at, end = whole.index(b"PK\1\2"), whole.index(b"PK\5\6")
    entry = whole[at : end - 5] + struct.pack("<I", 4 + end - at) + whole[end - 1 : end]
    last = whole[end : end + 16] + struct.pack("<I", 4) + whole[end + 20 :]
    return struct.pack("<I", len(whole)) + entry + whole[:at] + last


def test_an_archive_with_its_directory_first(tmp_path: Path) -> None:
    a, b = (directory_first(b"made at %d" % at) for at in (T1, T2))
    assert told(explain(tmp_path, {"omni.ja": a}, {"omni.ja": b})) == [("omni.ja!x", "timestamp", "high")]


@pytest.mark.parametrize(
    ("magic", "reader"), [(b"hsqs", "unsquashfs"), (b"\x04\x22\x4d\x18", "lz4 -d"), (b"7z\xbc\xaf\x27\x1c", "7z x")]
)
def test_what_is_not_looked_into_names_who_would(tmp_path: Path, magic: bytes, reader: str) -> None:
    a, b = (magic + bytes(60) + zlib.compress(b"words %d" % at, 9) * 3 for at in (1, 2))
    (finding,) = explain(tmp_path, {"file": a}, {"file": b})
    assert (finding.cause, finding.confidence) == ("unknown", "low")
    assert f"{reader} shows what differs" in finding.because
    a, b = (magic + bytes(4) + struct.pack("<I", at) + bytes(60) for at in (T1, T2))
    assert ("file", "timestamp", "high") in told(explain(tmp_path, {"file": a}, {"file": b}))


def test_the_header_and_the_code_of_a_member_are_two_differences(tmp_path: Path) -> None:
    a, b = (archive(member(b"x.o/", code, mtime=at)) for at, code in ((T1, b"code one"), (T2, b"code two")))
    findings = explain(tmp_path, {"libx.a": a}, {"libx.a": b})
    assert told(findings)[0] == ("libx.a!x.o", "timestamp", "high")
    assert ("libx.a!x.o", "unknown", "low") in told(findings)


def test_a_database_with_views_that_never_end_costs_nothing(tmp_path: Path) -> None:
    import contextlib
    import sqlite3

    def made(word: str) -> bytes:
        with contextlib.closing(sqlite3.connect(":memory:")) as database:
            database.execute("CREATE TABLE t (x)")
            database.execute("INSERT INTO t VALUES (?)", (word,))
            endless = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n"
            database.execute(f"CREATE VIEW v AS {endless}")
            database.commit()
            return database.serialize()

    began = time.monotonic()
    assert explain(tmp_path, {"x.db": made("one")}, {"x.db": made("two")}, budget=Budget(seconds=5))
    assert time.monotonic() - began < 3


def test_free_text_in_a_header_is_explained_as_text_and_else_not_for_sure(tmp_path: Path) -> None:
    def commented(comment: bytes) -> bytes:
        return zipped(b"same")[:-2] + struct.pack("<H", len(comment)) + comment

    def found(a: bytes, b: bytes) -> Found:
        return told(explain(tmp_path, {"f": commented(a)}, {"f": commented(b)}))

    assert found(WHEN[0], WHEN[1]) == [("f", "timestamp", "high")]
    assert found(b"8f14e45fceea167a", b"c9f0f895fb98ab91") == [("f", "randomness", "low")]
    assert found(b"cat", b"dog") == [("f", "archive-metadata", "low")]


def test_a_checksum_that_is_wrong_hides_nothing(tmp_path: Path) -> None:
    a = uimage(b"some words")
    findings = explain(tmp_path, {"f": a}, {"f": a[:-1] + b"X"})
    assert ("f", "unknown", "low") in told(findings)
    assert not any(item.confidence == "high" for item in findings)
