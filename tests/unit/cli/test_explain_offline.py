"""A report directory from another machine: explained without Nix and without a rebuild, whatever is written in it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

import reports
from nix_repro.cli.explain_offline import explain_directory
from nix_repro.errors import UsageError
from nix_repro.observations import Tree
from nix_repro.output.archive import write_trees
from nix_repro.output.directory import keep_trees
from nix_repro.output.formats import JSON
from nix_repro.output.tree_names import named_trees
from nix_repro.report import Build, DerivationReport, Finding, Output, Report, Status

DRV = "/nix/store/00000000000000000000000000000000-demo.drv"
STARTED = "2024-05-06T07:08:00+00:00"
replace = msgspec.structs.replace


def report(**more: Any) -> Report:
    """One derivation, built 10 s and rebuilt 20 s after the start, both within a second."""
    derivation = DerivationReport(
        drv_path=DRV,
        name="demo",
        verdict="divergent",
        outputs={"out": Output(path="/nix/store/11111111111111111111111111111111-demo", verdict="divergent")},
        builds=(
            Build(round=1, status="built", started=10.0, seconds=1.0),
            Build(round=2, status="built", started=20.0, seconds=1.0),
        ),
    )
    return reports.bare(**{"started": STARTED, "derivations": (derivation,)} | more)


def directory(where: Path, what: Report, a: str, b: str, name: str = "demo/out") -> Path:
    where.mkdir()
    (where / "report.json").write_bytes(JSON.render(what))
    for side, text in (("a", a), ("b", b)):
        (where.parent / side).mkdir()
        (where.parent / side / "file").write_text(text)
    write_trees(where / "trees.tar.gz", {name: Tree(where.parent / "a", where.parent / "b", 2)})
    return where


def found(where: Path) -> list[tuple[str, str, str]]:
    (derivation,) = explain_directory(where).derivations
    return [(finding.path, finding.cause, finding.confidence) for finding in derivation.findings]


def test_times_are_compared_with_the_builds_of_the_other_machine(tmp_path: Path) -> None:
    at = ("built 2024-05-06 07:08:10\n", "built 2024-05-06 07:08:20\n")
    assert found(directory(tmp_path / "d", report(), *at)) == [("file", "timestamp", "high")]


@pytest.mark.parametrize(
    "started", ["", "yesterday", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59", STARTED + "\n"]
)
def test_a_start_that_is_no_time_claims_nothing(tmp_path: Path, started: str) -> None:
    at = ("built 2024-05-06 07:08:10\n", "built 2024-05-06 07:08:20\n")
    assert ("file", "timestamp", "high") not in found(directory(tmp_path / "d", report(started=started), *at))


@pytest.mark.parametrize("seconds", [1e308, -1e308, 1e18])
def test_builds_that_took_no_time_that_can_be(tmp_path: Path, seconds: float) -> None:
    (derivation,) = report().derivations
    builds = tuple(replace(build, started=seconds, seconds=seconds) for build in derivation.builds)
    what = report(derivations=(replace(derivation, builds=builds),))
    assert found(directory(tmp_path / "d", what, "1714979290\n", "1714979300\n"))[0][2] != "high"


@pytest.mark.parametrize("status", ["present", "substituted"])
def test_a_first_build_that_the_other_machine_did_not_see(tmp_path: Path, status: Status) -> None:
    (one,) = report().derivations
    builds = (Build(round=1, status=status), one.builds[1])
    unseen = report(derivations=(replace(one, builds=builds),))
    at = ("built 2023-01-02 03:04:05\n", "built 2024-05-06 07:08:20\n")
    assert found(directory(tmp_path / "d", unseen, *at)) == [("file", "timestamp", "high")]


def test_what_was_proved_there_stays_proved(tmp_path: Path) -> None:
    (derivation,) = report().derivations
    proof = Finding(
        output="out", path="file", cause="parallelism", confidence="proved", because="proved: one core", fix=""
    )
    what = report(derivations=(replace(derivation, findings=(proof,)),))
    assert found(directory(tmp_path / "d", what, "1\n", "2\n")) == [("file", "parallelism", "proved")]


def test_a_difference_that_came_with_an_input(tmp_path: Path) -> None:
    (derivation,) = report().derivations
    path = "/nix/store/22222222222222222222222222222222-token"
    token = replace(
        derivation,
        drv_path=DRV.replace("demo", "token"),
        name="token",
        outputs={"out": Output(path=path, verdict="divergent")},
    )
    what = report(derivations=(replace(derivation, inputs=(token.drv_path,)), token))
    where = directory(tmp_path / "d", what, "x", "y")
    sides = {name: Tree(tmp_path / name / "a", tmp_path / name / "b", 2) for name in ("demo", "token")}
    for side, text in (("a", "4f1c5a9b3d2e8f70"), ("b", "90ab17cde5f23841")):
        for name, content in (("demo", f"the token is {text}\n"), ("token", f"{text}\n")):
            (tmp_path / name / side).mkdir(parents=True)
            (tmp_path / name / side / "token").write_text(content)
    write_trees(where / "trees.tar.gz", {f"{name}/out": tree for name, tree in sides.items()})
    causes = {
        derivation.name: [finding.cause for finding in derivation.findings]
        for derivation in explain_directory(where).derivations
    }
    assert causes == {"demo": ["propagated"], "token": ["randomness"]}


def test_two_derivations_of_the_same_name_are_told_apart(tmp_path: Path) -> None:
    (derivation,) = report().derivations
    other = replace(derivation, drv_path=DRV.replace("0", "1"))
    where = directory(tmp_path / "d", report(derivations=(derivation, other)), "1\n", "2\n", name="demo-11111111/out")
    assert [bool(d.findings) for d in explain_directory(where).derivations] == [False, True]


def test_the_trees_can_be_had_too(tmp_path: Path) -> None:
    def keep(what: Report, trees: Mapping[tuple[str, str], Tree]) -> Report:
        keep_trees(named_trees(what, trees), tmp_path / "kept")
        return replace(what, warnings=("used",))

    where = directory(tmp_path / "d", report(), "1\n", "2\n")
    assert explain_directory(where, keep).warnings == ("used",)
    assert (tmp_path / "kept/demo/out/b/file").read_text() == "2\n"


def test_what_was_left_out_of_the_archive_keeps_its_findings(tmp_path: Path) -> None:
    (derivation,) = report().derivations
    known = Finding(output="out", path="large", cause="timestamp", confidence="high", because="seen", fix="")
    what = report(derivations=(replace(derivation, findings=(known,)),))
    assert found(directory(tmp_path / "d", what, "1\n", "2\n", name="other/out")) == [("large", "timestamp", "high")]


def test_a_directory_without_a_report_or_without_trees(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"report\.json: No such file"):
        explain_directory(tmp_path)
    (tmp_path / "report.json").write_bytes(JSON.render(report()))
    with pytest.raises(UsageError, match="nothing differed, or nothing was kept"):
        explain_directory(tmp_path)


@pytest.mark.parametrize("text", [b"", b"[]", b"{}", b"\xff", b'{"x":' + b"[" * 100_000, b'{"version": 2}', b"null"])
def test_what_is_no_report(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "report.json").write_bytes(text)
    with pytest.raises(UsageError, match="not a report"):
        explain_directory(tmp_path)
