"""Static libraries and Debian packages: members by their own names, and the header fields that packers fill in."""

from __future__ import annotations

from pathlib import Path

import pytest

from binaries import archive, member
from nix_repro.explain.budget import Budget
from sides import STARTED, explain

T1, T2 = STARTED + 1, STARTED + 1201


def causes(where: Path, a: bytes, b: bytes, budget: Budget | None = None) -> list[tuple[str, str]]:
    return [(item.path, item.cause) for item in explain(where, {"x.a": a}, {"x.a": b}, budget=budget)]


def test_the_time_and_the_owner_of_a_member_are_told_apart(tmp_path: Path) -> None:
    a, b = (archive(member(b"x.o/", b"same", mtime=at, uid=uid)) for at, uid in ((T1, 1000), (T2, 30001)))
    assert causes(tmp_path, a, b) == [("x.a!x.o", "timestamp"), ("x.a!x.o", "archive-metadata")]


def test_long_names_are_read_from_gnu_s_table(tmp_path: Path) -> None:
    table = member(b"//", b"a_rather_long_name.o/\nanother_long_name.o/\n")
    a, b = (archive(table, member(b"/0", b"same"), member(b"/22", b"at %d\n" % at)) for at in (T1, T2))
    assert causes(tmp_path, a, b) == [("x.a!another_long_name.o", "timestamp")]


def test_long_names_are_read_from_the_content_where_bsd_keeps_them(tmp_path: Path) -> None:
    name = b"a_rather_long_name.o\0\0\0\0"
    a, b = (archive(member(b"#1/24", name + b"at %d\n" % at), member(b"y.o/", b"same")) for at in (T1, T2))
    assert causes(tmp_path, a, b) == [("x.a!a_rather_long_name.o", "timestamp")]


def test_the_symbol_table_follows_from_the_members(tmp_path: Path) -> None:
    a, b = (
        archive(member(b"/", symbols), member(b"x.o/", b"at %d\n" % at))
        for symbols, at in ((b"\0\1", T1), (b"\0\2", T2))
    )
    assert causes(tmp_path, a, b) == [("x.a!x.o", "timestamp"), ("x.a", "timestamp")]


def test_the_time_of_the_symbol_table_is_the_archive_s_own(tmp_path: Path) -> None:
    a, b = (archive(member(b"/", b"\0\1", mtime=at), member(b"x.o/", b"same")) for at in (T1, T2))
    assert causes(tmp_path, a, b) == [("x.a", "timestamp")]


@pytest.mark.parametrize(
    "broken",
    [
        member(b"y.o/", b"", size=-60),  # would be read for ever
        member(b"y.o/", b"").replace(b"`\n", b"??"),
        member(b"y.o/", b"").replace(b"100644  0", b"100644  x"),
    ],
)
def test_what_is_no_archive_after_all_is_compared_as_it_is(tmp_path: Path, broken: bytes) -> None:
    a, b = (archive(member(b"x.o/", b"at %d\n" % at), broken) for at in (T1, T2))
    assert causes(tmp_path, a, b) == [("x.a", "timestamp")]


def test_members_beyond_the_budget_are_not_compared_and_that_is_said(tmp_path: Path) -> None:
    a, b = (archive(*(member(b"%d.o/" % n, b"at %d\n" % at) for n in range(9))) for at in (T1, T2))
    findings = explain(tmp_path, a, b, budget=Budget(entries=3))
    assert {item.path for item in findings} == {"!0.o", "!1.o", "!2.o", ""}
    assert "more members than are compared" in findings[-1].because
