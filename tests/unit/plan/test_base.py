"""What a run is compared with: which names have a counterpart, and why there is no base where there is none."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
from pytest_mock import MockerFixture

from nix_repro.errors import UsageError
from nix_repro.nix.command import Nix
from nix_repro.plan import base
from nix_repro.plan.base import absent, at_revision, attribute, committed, counterparts, flake_url, from_report
from nix_repro.report import DerivationReport, Report

DRV = "/nix/store/00000000000000000000000000000000-x.drv"


@pytest.mark.parametrize(
    ("installable", "attr"),
    [
        (".#app", "app"),
        ("#app", "app"),
        (".", "default"),
        (".#app^out", "app"),
        ("all", "all"),
        (".#all", "all"),
        ("nixpkgs#hello", None),
        ("/nix/store/x.drv", None),
        ("all#x", None),
    ],
)
def test_only_this_repository_s_attributes_are_compared(installable: str, attr: str | None) -> None:
    assert attribute(installable) == attr


def test_a_name_s_counterpart_ends_with_the_attribute() -> None:
    named = ["packages.x.app", "packages.x.my-app", "checks.x.app", "/nix/store/x.drv", "github:o/r#packages.x.app"]
    assert counterparts("app", named) == ["packages.x.app", "checks.x.app"]
    assert counterparts("packages.x.app", named) == ["packages.x.app"]
    assert counterparts("all", named) == ["packages.x.app", "packages.x.my-app", "checks.x.app"]
    assert counterparts("all", ['packages.x."a#b"']) == ['packages.x."a#b"'], "what is quoted names no flake"


def test_what_is_not_there_is_told_from_what_does_not_evaluate() -> None:
    assert absent(UsageError("error: flake 'x' does not provide attribute 'app'"))
    assert absent(UsageError(".: the flake has no packages and no checks for x"))
    assert not absent(UsageError("error: undefined variable"))


def test_a_flake_is_named_by_its_commit(tmp_path: Path) -> None:
    (tmp_path / "a dir").mkdir()
    url = flake_url(tmp_path, "abc", tmp_path, shallow=False)
    assert url == f"git+file://{tmp_path}?rev=abc"
    assert flake_url(tmp_path, "abc", tmp_path / "a dir", shallow=True) == f"{url}&shallow=1&dir=a%20dir"


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Two commits, the first of which is tagged `old`; another file is changed and not committed."""

    def git(*args: str) -> None:
        who = ["-c", "user.name=n", "-c", "user.email=e@example.org", "-c", "commit.gpgsign=false"]
        subprocess.run(["git", "-C", str(tmp_path), *who, *args], check=True, capture_output=True)

    git("init", "--quiet", "--initial-branch=main")
    for name in ("flake.nix", "flake.lock", "main.c"):
        (tmp_path / name).write_text("old")
    git("add", ".")
    git("commit", "-m", "one")
    git("tag", "old")
    (tmp_path / "flake.lock").write_text("new")
    git("commit", "-am", "two")
    (tmp_path / "main.c").write_text("new")
    return tmp_path


@pytest.fixture
def nix(mocker: MockerFixture) -> Any:
    found = mocker.create_autospec(Nix, instance=True)
    found.requisites.side_effect = lambda paths: [*paths, "/s/below.drv", "/s/src"]
    found.nix = found
    return found


def test_a_base_is_read_out_of_the_history(repository: Path, nix: Any, mocker: MockerFixture) -> None:
    evaluate = mocker.patch.object(base, "evaluate")
    evaluate.side_effect = lambda _, named, __: {f"{named[0].partition('#')[0]}#packages.x.app": "/s/app.drv"}
    warned: list[str] = []
    found = at_revision(nix, "old", [".#app"], ["packages.x.app"], repository, warned.append)
    assert found is not None
    assert warned == []
    assert found.installables == {"packages.x.app": "/s/app.drv"}
    assert found.derivations == {"/s/app.drv", "/s/below.drv"}
    assert found.files == frozenset({"flake.lock", "main.c"}), "the work tree counts as it is"
    assert (found.old_lock, found.new_lock) == ("old", "new")
    assert found.name.startswith("old (")


def test_what_is_new_may_be_made_of_the_base_s_other_packages(
    repository: Path, nix: Any, mocker: MockerFixture
) -> None:
    def evaluate(_nix: Nix, named: list[str], _cwd: Path) -> dict[str, str]:
        flake, _, attr = named[0].partition("#")
        if attr == "app":
            raise UsageError(f"error: flake '{flake}' does not provide attribute 'app'")
        return {f"{flake}#packages.x.lib": "/s/lib.drv"}

    mocker.patch.object(base, "evaluate", side_effect=evaluate)
    found = at_revision(nix, "old", [".#app"], ["packages.x.app"], repository, lambda _: None)
    assert found is not None
    assert found.installables == {"packages.x.app": None}
    assert "/s/lib.drv" in found.derivations


def test_why_there_is_no_base_is_said(repository: Path, tmp_path_factory: pytest.TempPathFactory, nix: Any) -> None:
    warned: list[str] = []
    assert at_revision(nix, "gone", [".#app"], [], repository, warned.append) is None
    assert at_revision(nix, "old", [".#app"], [], tmp_path_factory.mktemp("none"), warned.append) is None
    assert at_revision(nix, "old", ["nixpkgs#hello"], [], repository, warned.append) is None
    assert [text.partition(":")[0] for text in warned] == ["base gone", "base old", "base old"]
    assert "fetch-depth" in warned[0]
    assert "no Git repository" in warned[1]
    assert "not named as this repository's" in warned[2]


def test_what_does_not_evaluate_there_is_named_with_nix_s_reason(
    repository: Path, nix: Any, mocker: MockerFixture
) -> None:
    mocker.patch.object(base, "evaluate", side_effect=UsageError("x: evaluation failed\nerror: undefined variable 'y'"))
    warned: list[str] = []
    assert at_revision(nix, "old", [".#app"], ["packages.x.app"], repository, warned.append) is None
    assert warned == ["base old: .#app cannot be evaluated there, and is not compared: undefined variable 'y'"]


def test_a_report_is_a_base_too(nix: Any, tmp_path: Path) -> None:
    report = Report(
        tool="t",
        started="2026-01-02",
        system="x",
        commit=None,
        nix_version="2",
        environment={},
        conclusion="pass",
        exit_code=0,
        fail_on=(),
        scope="own",
        rebuilder=None,
        rounds=2,
        derivations=(DerivationReport(drv_path=DRV, name="x", verdict="reproducible", attrs=("packages.x.app",)),),
    )
    found = from_report(nix, report, ["packages.x.app", "packages.x.new"])
    assert found.installables == {"packages.x.app": DRV, "packages.x.new": None}
    assert DRV in found.derivations
    assert (found.name, found.files) == ("the report of 2026-01-02", None)


def test_a_report_of_the_change_itself_is_not_believed(
    repository: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """It is told by what the commit has: not by its name, which a step may have written over."""
    mine, step = repository / "base.json", repository / "of-a-step.json"
    mine.write_text("{}")
    (repository / "link.json").symlink_to("base.json")
    git = ["git", "-C", str(repository), "-c", "user.name=t", "-c", "user.email=t@example.org"]
    subprocess.run([*git, "add", "-A"], check=True)
    subprocess.run([*git, "commit", "-q", "-m", "forged"], check=True)
    step.write_text("{}")
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "base.json"
    elsewhere.write_text("{}")
    below = repository / "below"
    below.mkdir()
    assert committed(mine, repository)
    assert committed(mine, below)
    assert committed(repository / "link.json", repository)
    assert not committed(step, repository)
    assert not committed(elsewhere, repository)
    assert not committed(repository / "missing.json", repository)
    mine.write_text("[]")
    assert not committed(mine, repository)
