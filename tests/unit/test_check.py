"""The run from top to bottom, with stages that do as they are told: what ends it early, and what is reported then."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from pytest_mock import MockerFixture

import reports
from graphs import Graph, drv
from nix_repro import check as checks
from nix_repro.assemble import finish
from nix_repro.config import Config
from nix_repro.errors import UsageError
from nix_repro.metrics import history
from nix_repro.nix.command import Nix, NixError
from nix_repro.nix.processes import Processes
from nix_repro.nix.series import release
from nix_repro.output.render.progress import Progress
from nix_repro.plan.scope import Plan
from nix_repro.report import Report
from nix_repro.run import Run
from nix_repro.stages import verify
from nix_repro.verdict.fail_when import Expression

Go = Callable[..., Report]


@pytest.fixture
def go(mocker: MockerFixture, tmp_path: Path) -> Go:
    """A check of one derivation. `rebuild` and `plan` are what those stages do."""
    graph: Graph = {}
    plan = Plan({"packages.x.app": drv(graph, "app")}, graph, tuple(graph), {})
    processes = Processes()
    nix = mocker.create_autospec(Nix, instance=True)
    nix.processes = processes
    nix.options = ()
    nix.env = {}
    nix.settings.return_value = {"system": "x86_64-linux"}
    nix.release.return_value = release("nix (Nix) 2.26.3")
    nix.store_dir.return_value = str(tmp_path / "store")
    mocker.patch.object(checks, "Nix", return_value=nix)
    for stage in ("add_roots", "explain_divergences"):
        mocker.patch.object(checks, stage)
    mocker.patch.object(checks, "choose").return_value.configure_mock(name="shadow", varies=frozenset())

    def planned(run: Run) -> Plan:
        run.plan = plan
        return plan

    def run(
        rebuild: Callable[[Processes], object] = lambda _: None, planning: Callable[[Run], Plan] = planned
    ) -> Report:
        mocker.patch.object(checks, "plan_run", side_effect=planning)
        mocker.patch.object(verify, "build_targets", return_value=plan)
        mocker.patch.object(verify, "rebuild_targets", side_effect=lambda *_: rebuild(processes))
        with Progress() as display:
            return checks.check(Config(), processes, {}, tmp_path, display, lambda report, _: report)

    return run


def test_the_commit_is_the_one_that_was_there_before_anything_of_it_could_run(go: Go, tmp_path: Path) -> None:
    """A builder without a sandbox can write into the checkout: no status of another commit is its to set."""

    def git(*args: str) -> str:
        config = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
        done = subprocess.run(["git", *config, *args], cwd=tmp_path, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    git("init", "-q")
    git("commit", "-q", "--allow-empty", "-m", "checked")
    checked = git("rev-parse", "HEAD")
    report = go(lambda _: git("commit", "-q", "--allow-empty", "-m", "made by a builder"))
    assert report.commit == checked != git("rev-parse", "HEAD")


def stop(processes: Processes) -> None:
    """A signal that arrives while something has to be finished."""
    with processes.shielded():
        processes.signum = 2


def test_a_signal_that_came_while_something_was_finished_is_an_interruption(go: Go) -> None:
    report = go(stop)
    assert report.exit_code == 130
    assert [d.reason for d in report.derivations] == ["cancelled"]


@pytest.mark.parametrize(
    "error", [NixError("first\nerror: the daemon is gone"), OSError(28, "No space left on device")]
)
def test_what_breaks_the_run_costs_no_report(go: Go, error: Exception) -> None:
    def broken(_: Processes) -> None:
        raise error

    report = go(broken)
    said = "the daemon is gone" if isinstance(error, NixError) else "[Errno 28] No space left on device"
    assert [(d.verdict, d.reason) for d in report.derivations] == [("unverified", said)]
    assert report.exit_code == 5
    assert any(said in warning for warning in report.warnings)


def test_what_breaks_before_there_is_a_plan_is_for_the_user_to_mend(go: Go) -> None:
    def broken(_: Run) -> Plan:
        raise NixError("error: cannot connect to socket")

    with pytest.raises(UsageError, match="cannot connect"):
        go(planning=broken)


@pytest.mark.parametrize(("expression", "conclusion"), [("false", "pass"), ("true", "fail")])
def test_what_a_policy_fails_is_remembered_as_failed(tmp_path: Path, expression: str, conclusion: str) -> None:
    config = Config(
        history=Path("history.json"), fail_when=(Expression(expression, "here"),), installables=(".#b", ".#a")
    )
    assert finish(reports.read("clean"), config, {}, tmp_path, lambda _: None).conclusion == conclusion
    ((run,), wrong) = history.read(tmp_path / "history.json")
    assert (run.conclusion, run.installables, run.whole, wrong) == (conclusion, (".#a", ".#b"), True, None)
