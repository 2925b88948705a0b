"""Tests, targets, policies and history on real Nix: what runs, what is only looked up, what fails the job."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from command import COMMAND, SYSTEM, Said, nix_repro

if TYPE_CHECKING:
    from store import NixBox

#: What is tested is ours: the oldest and the newest Nix are enough.
pytestmark = pytest.mark.series("2.8", "2.34")

FLAKE = f"""
{{ outputs = {{ self }}: let
    mk = name: script: derivation {{
      inherit name; system = "{SYSTEM}"; builder = "/bin/sh"; args = [ "-c" script ]; PATH = "/usr/bin:/bin"; }};
    slow = mk "slow" "sleep 1.2; echo > $out";
  in {{
    packages.{SYSTEM} = {{ default = mk "app" "cat ${{slow}} > $out"; bad = mk "bad" "exit 1"; }};
    checks.{SYSTEM} = {{ good = mk "good" "echo > $out"; other = mk "other" "echo other > $out"; }};
  }};
}}
"""
BROKEN = 'checks.SYSTEM = { broken = mk "broken" "echo this is why; exit 3";'.replace("SYSTEM", SYSTEM)


@pytest.fixture
def flake(sandbox_nix: NixBox) -> Path:
    (sandbox_nix.work / "flake.nix").write_text(FLAKE)
    return sandbox_nix.work


def check(box: NixBox, *args: str, ci: bool = True) -> Said:
    return nix_repro(box, "check", "--scope", "closure", *args, cwd=box.work, env={"CI": "true"} if ci else {})


def test_an_overrun_fails_and_leaves_its_report(sandbox_nix: NixBox, flake: Path) -> None:
    said = check(sandbox_nix, "--target", "build=1s")
    assert said.code == 3
    assert {d["verdict"] for d in said.derivations} == {"reproducible"}
    (build,) = [target for target in said.report["targets"] if target["name"] == "build"]
    assert build["ok"] is False
    for words in ("slowest: slow 1.", "critical path slow → app = ", "more cores do not help"):
        assert words in build["advice"]
        assert words in said.out
    phases = {phase["name"]: phase["seconds"] for phase in said.report["phases"]}
    assert phases["build"] == build["actual"] >= 1.2
    # Warm, it passes: nothing is built, so nothing is late. Verification took as long as ever.
    warm = check(sandbox_nix, "--target", "build=1s")
    assert warm.code == 0, warm.out
    assert warm.report["scenario"]["name"] == "warm"
    assert check(sandbox_nix, "--target", "build=1s", ci=False).report["scenario"]["name"] == "cached"


def test_checks_run_once_and_are_cached_then(sandbox_nix: NixBox, flake: Path) -> None:
    said = check(sandbox_nix, "--test", "checks")
    assert said.code == 0, said.err
    assert (said.report["test"]["status"], said.report["test"]["ran"]) == ("passed", ["good", "other"])
    assert {d["name"] for d in said.derivations} == {"app", "slow"}
    assert "test" in {phase["name"] for phase in said.report["phases"]}
    again = check(sandbox_nix, "--test", "checks")
    assert (again.report["test"]["status"], again.report["test"]["cached"]) == ("cached", ["good", "other"])
    assert "2 cached, not run" in again.out


def test_a_failing_check_fails_the_job(sandbox_nix: NixBox, flake: Path) -> None:
    (flake / "flake.nix").write_text(FLAKE.replace(f"checks.{SYSTEM} = {{", BROKEN))
    said = check(sandbox_nix, "--test", "checks")
    assert said.code == 4
    assert (said.report["test"]["failed"], said.report["test"]["ran"]) == (["broken"], ["good", "other"])
    assert "this is why" in said.report["test"]["log"]
    assert "this is why" in said.out


def test_commands(sandbox_nix: NixBox, flake: Path) -> None:
    passed = check(sandbox_nix, "--test", "grep -q outputs flake.nix")
    assert (passed.code, passed.report["test"]["status"]) == (0, "passed")
    (flake / ".nix-repro.yml").write_text('test: [sh, -c, "echo said; env | grep TOKEN; exit 7"]\n')
    said = nix_repro(sandbox_nix, "check", "--scope", "closure", cwd=flake, env={"GITHUB_TOKEN": "a-long-token"})
    assert said.code == 4
    assert said.report["test"]["log"] == "said\nexit code 7"
    unknown = check(sandbox_nix, "--test", "no-such-command x")
    assert (unknown.code, unknown.report["test"]["log"]) == (4, "no-such-command: No such file or directory")
    unbuilt = check(sandbox_nix, ".#bad", "--test", "true")
    assert (unbuilt.code, unbuilt.report["test"]["status"]) == (4, "not-run")


def test_a_command_is_over_when_it_ends(sandbox_nix: NixBox, flake: Path) -> None:
    """What it leaves running neither holds up the run nor outlives the test; and what it has printed is there."""
    (flake / ".nix-repro.yml").write_text('test: [sh, -c, "sleep 999 & echo $! > left; printf last; exit 3"]\n')
    said = check(sandbox_nix)
    assert said.report["test"]["log"] == "last\nexit code 3"
    left = Path("/proc", (flake / "left").read_text().strip(), "cmdline")
    assert not left.exists() or b"999" not in left.read_bytes()
    # One that hangs until the job is cancelled says how far it came.
    (flake / ".nix-repro.yml").write_text('test: [sh, -c, "echo begun; echo > begun; sleep 999"]\n')
    report = flake / "stopped.json"
    running = sandbox_nix.popen([*COMMAND, "check", "--scope", "closure", "--report-json", report], cwd=flake)
    while not (flake / "begun").exists() and running.poll() is None:
        time.sleep(0.05)
    running.terminate()
    running.communicate(timeout=60)
    assert running.returncode == 143
    assert json.loads(report.read_text())["test"]["log"] == "begun\nstopped before its end: SIGTERM"


def test_policies_and_history(sandbox_nix: NixBox, flake: Path) -> None:
    (flake / ".nix-repro.yml").write_text(
        "history: .cache/history.json\nfail-when:\n- '.rounds > 2'\n- '[.derivations[].name] | any(. == \"app\")'\n"
    )
    said = check(sandbox_nix)
    assert said.code == 3
    assert [policy["failed"] for policy in said.report["policies"]] == [False, True]
    (run,) = json.loads((flake / ".cache/history.json").read_text())["runs"]
    assert run["scenario"] == "cold"
    assert run["values"]["build"] > 1
    (flake / ".nix-repro.yml").write_text("fail-when:\n- '.caches.hit_rate < 0.95'\n- '.caches.hit_rate'\n")
    said = check(sandbox_nix)
    assert said.code == 2
    assert (
        ".nix-repro.yml:3: fail-when: '.caches.hit_rate' must give exactly one true or false; it gives null" in said.err
    )
    (flake / ".nix-repro.yml").write_text("fail-when:\n- '.caches |'\n")
    said = check(sandbox_nix)
    assert (said.code, said.report) == (2, {})
    assert ".nix-repro.yml:2: fail-when: '.caches |' is not jq" in said.err
