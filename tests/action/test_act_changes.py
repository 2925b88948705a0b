"""A pull request that sets its own conditions, in the real action."""

from __future__ import annotations

import html
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from github_api import PAYLOADS

OPEN = {"installables": "", "scope": ""}


def git(cwd: Path, *args: str) -> str:
    config = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    return subprocess.run(["git", *config, *args], cwd=cwd, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def base(act: Any) -> str:
    """The base: it wants both packages to be the same every time."""
    (act.repository / ".nix-repro.yml").write_text("installables: [.#bad, .#good]\nscope: closure\n")
    git(act.repository, "add", "-A")
    git(act.repository, "commit", "-qm", "base")
    return git(act.repository, "rev-parse", "HEAD")


def propose(act: Any, base: str, text: str, **inputs: str) -> Any:
    (act.repository / ".nix-repro.yml").write_text(text)
    event = json.loads((PAYLOADS / "pull_request.json").read_text())
    event["pull_request"]["base"]["sha"] = base
    return act(OPEN | inputs, event=event, event_name="pull_request")


EXCUSES = "fail-on: none\nsince: HEAD\ninstallables: [.#good]\n"


def test_a_change_cannot_excuse_itself(act: Any, base: str, tmp_path: Path) -> None:
    proof = tmp_path / "proof"
    done = propose(act, base, f"{EXCUSES}test: [touch, {proof}]\n")
    assert done.code == 1, done.story
    assert (done.outputs()["conclusion"], done.outputs()["exit-code"]) == ("fail", "1")
    assert json.loads(done.outputs()["divergent"]) == ["packages.x86_64-linux.bad"]
    assert not proof.exists()
    line = html.unescape(done.summary.splitlines()[0])
    assert line.startswith("## ❌ 1 divergence that the base has too")
    assert (
        "this change also edits .nix-repro.yml: fail-on, installables, scope, since, test (the base's counts)" in line
    )


def test_what_does_not_edit_it_says_nothing(act: Any, base: str) -> None:
    done = propose(
        act, base, "# The same.\ninstallables:\n- .#bad\n- .#good\nscope: closure\n", **{"fail-on": "divergence"}
    )
    assert done.code == 1, done.story
    assert "this change" not in done.summary.splitlines()[0]


def test_only_what_the_change_brings_fails_it(act: Any, base: str) -> None:
    same = "installables: [.#bad, .#good]\nscope: closure\n"
    old = propose(act, base, same, **{"fail-on": "new-divergence"})
    assert old.code == 0, old.story
    assert "1 divergence that the base has too" in old.summary.splitlines()[0]
    flake = act.repository / "flake.nix"
    id_too = 'read -r id < /proc/sys/kernel/random/uuid; echo the same every time $id > "$out"'
    flake.write_text(flake.read_text().replace('echo the same every time > "$out"', id_too))
    new = propose(act, base, same, **{"fail-on": "new-divergence", "check-base": "true"})
    assert new.code == 1, new.story
    assert "1 that the base has too" in new.summary.splitlines()[0]
    assert any("The base does not have it" in text for text in new.commands("error"))


def test_its_own_file_counts_where_the_workflow_says_so(act: Any, base: str, tmp_path: Path) -> None:
    proof = tmp_path / "proof"
    text = f"installables: [.#good]\nscope: closure\ntest: [touch, {proof}]\n"
    done = propose(act, base, text, **{"config-from": "head"})
    assert done.code == 0, done.story
    assert "(its own counts)" in done.summary.splitlines()[0]
    assert not proof.exists(), "a program that only the change names"


def test_an_input_pins_what_it_says(act: Any, base: str) -> None:
    done = propose(
        act, base, EXCUSES, **{"config-from": "head", "installables": ".#bad", "fail-on": "divergence", "since": "none"}
    )
    assert done.outputs()["exit-code"] == "1", done.story


def test_without_the_base_it_says_so_and_checks_everything(act: Any, base: str, tmp_path: Path) -> None:
    proof = tmp_path / "proof"
    flake = act.repository / "flake.nix"
    flake.write_text(flake.read_text().replace("sleep 60", "sleep 1"))
    done = propose(act, "0" * 40, f"fail-on: none\ninstallables: [.#good]\nscope: closure\ntest: [touch, {proof}]\n")
    assert done.code == 1, done.story
    assert "packages.x86_64-linux.bad" in json.loads(done.outputs()["divergent"])
    assert not proof.exists()
    assert any("fetch-depth: 0" in text and "fail-on" in text for text in done.commands("warning"))
    assert "the base's is not in the clone" in done.summary.splitlines()[0]


@pytest.mark.parametrize("setting", ["plugin-files", "post-build-hook", "diff-hook"])
def test_no_setting_runs_a_program_of_the_change(act: Any, base: str, tmp_path: Path, setting: str) -> None:
    done = propose(act, base, f"options: {{{setting}: {tmp_path}/evil}}\n")
    assert done.outputs()["exit-code"] == "2", done.story
    [error] = done.commands("error")
    assert f"options: {setting}: not among the settings" in error
