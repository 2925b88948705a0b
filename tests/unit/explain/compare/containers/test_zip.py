"""zip archives: header fields, the extra ones of Info-ZIP among them, and members that are broken."""

from __future__ import annotations

import io
import struct
import time
import zipfile
from pathlib import Path

import pytest

from nix_repro.explain.budget import Budget
from sides import STARTED, explain

T1, T2 = STARTED + 2, STARTED + 1202


def zipped(*members: tuple[zipfile.ZipInfo, bytes], comment: bytes = b"") -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for info, data in members:
            archive.writestr(info, data)
        archive.comment = comment
    return out.getvalue()


def header(name: str = "x", /, **fields: object) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    for field, value in fields.items():
        setattr(info, field, value)
    return info


def extra(identifier: int, data: bytes) -> bytes:
    return struct.pack("<HH", identifier, len(data)) + data


def clock(seconds: int) -> tuple[int, ...]:
    return tuple(time.gmtime(seconds)[:6])


@pytest.mark.parametrize(
    ("field", "values", "cause", "named"),
    [
        ("date_time", (clock(T1), clock(T2)), "timestamp", "the zip time differs"),
        ("date_time", (clock(T1 + 9 * 3600), clock(T2 + 9 * 3600)), "timestamp", "the zip time differs"),
        ("date_time", ((1980, 0, 0, 0, 0, 0), (1980, 1, 1, 0, 0, 0)), "archive-metadata", "the zip time differs"),
        (
            "extra",
            (extra(0x5455, b"\1" + struct.pack("<I", T1)), extra(0x5455, b"\1" + struct.pack("<I", T2))),
            "timestamp",
            "the zip mtime differs",
        ),
        (
            "extra",
            (extra(0x7875, b"\1\4\1\0"), extra(0x7875, b"\1\4\2\0")),
            "archive-metadata",
            "header's owner differs",
        ),
        (
            "extra",
            (extra(0xCAFE, b"one"), extra(0xCAFE, b"two")),
            "archive-metadata",
            "header's extra field cafe differs",
        ),
        ("external_attr", (0o644 << 16, 0o664 << 16), "archive-metadata", "header's mode differs"),
        ("create_system", (0, 3), "archive-metadata", "header's system differs"),
        ("comment", (b"one", b"two"), "archive-metadata", "header's comment differs"),
    ],
)
def test_header_fields(tmp_path: Path, field: str, values: tuple[object, object], cause: str, named: str) -> None:
    a, b = (zipped((header(**{field: value}), b"same")) for value in values)
    (finding,) = explain(tmp_path, {"x.jar": a}, {"x.jar": b})
    assert (finding.path, finding.cause) == ("x.jar!x", cause)
    assert named in finding.because


def test_the_archive_s_own_comment(tmp_path: Path) -> None:
    a, b = (zipped((header(), b"same"), comment=comment) for comment in (b"one", b"two"))
    (finding,) = explain(tmp_path, {"x.jar": a}, {"x.jar": b})
    assert (finding.path, finding.cause) == ("x.jar", "archive-metadata")
    assert "archive comment" in finding.because


def test_a_member_that_is_damaged_is_told_of_by_its_name(tmp_path: Path) -> None:
    a = zipped((header(compress_type=zipfile.ZIP_DEFLATED), b"some words of text " * 9), (header("y"), b"same"))
    start = a.index(b"x", 30) + 1
    b = bytearray(a)
    b[start : start + 4] = b"\xff\xff\xff\xff"
    # The directory's checksum stays as it is, and says that the two are the same.
    (finding,) = explain(tmp_path, {"x.jar": a}, {"x.jar": bytes(b)})
    assert (finding.path, finding.cause) == ("x.jar!x", "unknown")


def test_members_beyond_the_budget_are_not_compared_and_that_is_said(tmp_path: Path) -> None:
    a, b = (zipped(*((header(f"{n}"), b"at %d\n" % at) for n in range(9))) for at in (T1, T2))
    findings = explain(tmp_path, a, b, budget=Budget(entries=3))
    assert {item.path for item in findings} == {"!0", "!1", "!2", ""}
    assert "more members than are compared" in findings[-1].because
