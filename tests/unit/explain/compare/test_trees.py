"""Two trees as a NAR sees them: entries, kinds, links, and what cannot be looked at."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from pytest_mock import MockerFixture

from nix_repro.explain.budget import Budget
from nix_repro.explain.context import Context, Side
from nix_repro.explain.engine import explain_output
from nix_repro.report import Finding
from sides import BUILDS, explain, make


def told(findings: tuple[Finding, ...]) -> list[tuple[str, str, str]]:
    return [(item.path, item.cause, item.because) for item in findings]


def test_entries_beyond_the_budget_are_not_compared_and_that_is_said(tmp_path: Path) -> None:
    a, b = ({f"{n:02}": b"%d" % (n + more) for n in range(20)} for more in (0, 70))
    findings = explain(tmp_path, a, b, budget=Budget(entries=25))
    assert findings[-1].because == "not everything was compared: the trees have more entries than are compared"


def test_a_file_that_both_sides_share_is_not_read(tmp_path: Path, mocker: MockerFixture) -> None:
    """As an optimised store has it: two names of one file."""
    for side in ("a", "b"):
        make(tmp_path / side, {"own": side.encode()})
    (tmp_path / "a/shared").write_bytes(b"shared")
    (tmp_path / "b/shared").hardlink_to(tmp_path / "a/shared")
    reader = mocker.spy(os, "open")
    (finding,) = explain_output("out", tmp_path / "a", tmp_path / "b", BUILDS)
    assert finding.path == "own"
    assert not any(call.args[0].endswith(b"shared") for call in reader.call_args_list)


def test_what_cannot_be_read_is_told_of_and_the_rest_is_compared(tmp_path: Path, mocker: MockerFixture) -> None:
    real = os.open

    def refuse(path: bytes, *args: int) -> int:
        if os.fspath(path).endswith(b"a/closed"):
            raise PermissionError(13, "Permission denied")
        return real(path, *args)

    mocker.patch("os.open", side_effect=refuse)
    findings = explain(tmp_path, {"closed": b"cat", "open": b"cat"}, {"closed": b"dog", "open": b"dog"})
    assert sorted(told(findings)) == [
        ("closed", "unknown", "the comparison could not read it: Permission denied"),
        ("open", "unknown", "no cause can be told from the two sides"),
    ]


def test_an_output_that_went_away(tmp_path: Path) -> None:
    (finding,) = explain_output("out", make(tmp_path / "a", {}), tmp_path / "b", BUILDS)
    assert finding.because == "the comparison could not read it: No such file or directory"


def test_another_kind(tmp_path: Path) -> None:
    (finding,) = explain(tmp_path, {"x": b""}, {"x/y": b""})
    assert (finding.path, finding.cause, finding.a, finding.b) == ("x", "unknown", "file", "directory")


@pytest.mark.parametrize(
    ("targets", "cause", "confidence"),
    [
        (("/build/x", "/build2/x"), "build-path", "high"),
        (("cache-8f14e45fceea167a", "cache-c9f0f895fb98ab91"), "randomness", "low"),
        # What is but likely may be chance in so few letters.
        (("node-3", "node-4"), "permissions", "high"),
    ],
)
def test_a_link_s_target_may_show_its_cause(
    tmp_path: Path, targets: tuple[str, str], cause: str, confidence: str
) -> None:
    for side, target in zip("ab", targets, strict=True):
        (make(tmp_path / side, {}) / "link").symlink_to(target)
    (finding,) = explain_output("out", tmp_path / "a", tmp_path / "b", BUILDS)
    assert (finding.cause, finding.confidence) == (cause, confidence)


@pytest.mark.parametrize(
    ("old", "new", "causes"),
    [
        ("lib.8f14e45fceea167a.so", "lib.c9f0f895fb98ab91.so", ["randomness", "unknown"]),
        # The only one of its sort that went, and the only one that came. Name and content are two findings.
        ("notes.txt", "letters.txt", ["unknown", "unknown"]),
    ],
)
def test_an_entry_with_another_name_is_the_same_entry(tmp_path: Path, old: str, new: str, causes: list[str]) -> None:
    findings = explain(tmp_path, {old: b"cat", "z": b""}, {new: b"dog", "z": b""})
    assert [(item.path, item.cause) for item in findings] == [(old, cause) for cause in causes]
    assert (old, new) in [(item.a, item.b) for item in findings]


def test_an_entry_of_another_sort_is_another_entry(tmp_path: Path) -> None:
    findings = explain(tmp_path, {"notes.txt": b"cat", "z": b""}, {"letters.html": b"cat", "z": b""})
    assert told(findings) == [
        ("notes.txt", "unknown", "it exists only in the build"),
        ("letters.html", "unknown", "it exists only in the rebuild"),
    ]


def test_as_many_parts_as_cores(tmp_path: Path) -> None:
    """The parts that both have differ for the same reason: the whole was cut otherwise."""
    context = Context(a=Side(cores=2), b=Side(cores=3))
    a, b = ({f"part-{n}": b"x" * (60 // count) for n in range(count)} for count in (2, 3))
    findings = explain(tmp_path, a, b, context)
    assert [(item.path, item.cause, item.confidence) for item in findings] == [
        ("part-2", "parallelism", "high"),
        ("part-0", "parallelism", "low"),
        ("part-1", "parallelism", "low"),
    ]
    assert "as many entries of this name as the build had cores: 2 and 3" in findings[0].because
    unknown = explain(tmp_path, a, b, Context(a=Side(cores=4), b=Side(cores=8)))
    assert {item.cause for item in unknown} == {"unknown"}
