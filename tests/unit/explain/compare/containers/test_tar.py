"""tar archives: what the headers say beside the content."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from nix_repro.explain.budget import Budget
from sides import STARTED, explain

T1, T2 = STARTED + 1, STARTED + 1201


def tar(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for info, data in members:
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def header(name: str = "x", /, **fields: object) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    for field, value in fields.items():
        setattr(info, field, value)
    return info


def told(where: Path, a: bytes, b: bytes) -> list[tuple[str, str]]:
    """The cause of each finding, and the header field that it names."""
    findings = explain(where, {"x.tar": a}, {"x.tar": b})
    assert {item.path for item in findings} <= {"x.tar", "x.tar!x"}
    return [(item.cause, item.because.partition(" differs")[0].rpartition(" tar header's ")[2]) for item in findings]


@pytest.mark.parametrize(
    ("field", "values", "cause", "named"),
    [
        ("mtime", (T1, T2), "timestamp", "the tar mtime"),
        ("mtime", (7, 8), "archive-metadata", "the tar mtime"),
        ("uid", (1000, 30001), "archive-metadata", "uid"),
        ("gid", (100, 30000), "archive-metadata", "gid"),
        ("uname", ("ann", "nixbld1"), "archive-metadata", "user"),
        ("gname", ("users", "nixbld"), "archive-metadata", "group"),
        ("mode", (0o644, 0o664), "archive-metadata", "mode"),
        ("pax_headers", ({"atime": f"{T1}.25"}, {"atime": f"{T2}.75"}), "timestamp", "the tar atime"),
        ("pax_headers", ({"comment": "one"}, {"comment": "two"}), "archive-metadata", "pax comment"),
    ],
)
def test_header_fields(tmp_path: Path, field: str, values: tuple[object, object], cause: str, named: str) -> None:
    a, b = (tar((header(**{field: value}), b"same")) for value in values)
    assert told(tmp_path, a, b) == [(cause, named)]


@pytest.mark.parametrize("times", [("soon", "late"), ("1e999", "2e999"), ("nan", "inf")])
def test_a_time_that_cannot_be_read_is_none_of_the_builds(tmp_path: Path, times: tuple[str, str]) -> None:
    a, b = (tar((header(pax_headers={"ctime": text}), b"same")) for text in times)
    assert [cause for cause, _ in told(tmp_path, a, b)] == ["archive-metadata"]


def test_a_link_s_target_that_shows_its_cause(tmp_path: Path) -> None:
    a, b = (tar((header(type=tarfile.SYMTYPE, linkname=target), b"")) for target in ("/build/x", "/build2/x"))
    assert [cause for cause, _ in told(tmp_path, a, b)] == ["build-path"]
    a, b = (tar((header(type=tarfile.SYMTYPE, linkname=target), b"")) for target in ("one", "two"))
    assert told(tmp_path, a, b) == [("archive-metadata", "link target")]


def test_members_beyond_the_budget_are_not_compared_and_that_is_said(tmp_path: Path) -> None:
    a, b = (tar(*((header(f"{n}"), b"at %d\n" % at) for n in range(9))) for at in (T1, T2))
    findings = explain(tmp_path, a, b, budget=Budget(entries=3))
    assert {item.path for item in findings} == {"!0", "!1", "!2", ""}
    assert "more members than are compared" in findings[-1].because


def test_a_link_s_target_that_is_no_utf_8(tmp_path: Path) -> None:
    a, b = (tar((header(type=tarfile.SYMTYPE, linkname=f"caf{end}"), b"")) for end in ("\udce9", "\udce8"))
    assert told(tmp_path, a, b) == [("archive-metadata", "link target")]
