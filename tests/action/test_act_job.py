"""What stands around the check: Nix absent or present, caches that fail, and what reaches GitHub."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from github_api import HEAD, PAYLOADS, TOKEN

LOCAL = {"installables": ".#good"}


@pytest.fixture
def nix_elsewhere(tmp_path: Path) -> Path:
    """A directory with a Nix that is not on PATH, as an installer leaves it."""
    directory = tmp_path / "installed"
    directory.mkdir()
    nix = shutil.which("nix")
    assert nix is not None
    for program in Path(nix).parent.glob("nix*"):
        (directory / program.name).symlink_to(program)
    return directory


def test_nix_that_is_there_is_left_alone(act: Any) -> None:
    done = act(LOCAL)
    assert set(done.calls()) == {"cache-restore", "cache-save", "upload-artifact"}
    assert done.code == 0


@pytest.mark.parametrize(
    ("which", "stub"), [("determinate", "nix-installer-action"), ("upstream", "install-nix-action")]
)
def test_nix_that_is_not_there_is_installed(act: Any, nix_elsewhere: Path, which: str, stub: str) -> None:
    act.hide_nix()
    done = act(LOCAL | {"install-nix": which}, env={"STUB_NIX": str(nix_elsewhere)})
    assert done.code == 0, done.story
    assert set(done.calls()) == {stub, "cache-restore", "cache-save", "upload-artifact"}
    if which == "determinate":
        given = {"source_tag": "v3.17.1", "summarize": "false", "diagnostic_endpoint": ""}
        assert done.calls()[stub] == given


def test_never_means_never(act: Any) -> None:
    act.hide_nix()
    done = act(LOCAL | {"install-nix": "never"})
    assert done.code == 1
    assert set(done.calls()) == {"cache-restore"}
    [error] = done.commands("error")
    assert "Nix was not found" in error


def test_caches_are_those_asked_for_with_keys_of_their_own(act: Any) -> None:
    done = act(
        LOCAL
        | {"cache": "magic, github cachix", "cachix-name": "acme", "cachix-auth-token": "a-secret-of-cachix-0123456789"}
    )
    assert done.code == 0, done.story
    calls = done.calls()
    assert len(calls["magic-nix-cache-action"].pop("source_revision")) == 40
    assert calls["magic-nix-cache-action"] == {"use_flakehub": "disabled", "diagnostic_endpoint": ""}
    assert calls["cachix-action"] == {"name": "acme", "authToken": "a-secret-of-cachix-0123456789"}
    keys = calls["cache-nix-action"]
    prefix = keys["restore_prefixes_first_match"]
    assert prefix == "nix-repro-test-test-0-Linux-X64-Linux-X64-"
    assert keys["primary_key"].removeprefix(prefix).count("-") == 1  # run id and attempt


def test_a_cache_that_fails_never_fails_the_job_and_is_named(act: Any) -> None:
    done = act(LOCAL | {"cache": "magic"}, env={"STUB_FAIL": "magic-nix-cache-action"})
    assert done.code == 0, done.story
    assert "the cache magic could not be switched on" in done.summary
    assert any("the cache magic" in text for text in done.commands("warning"))


def test_an_artifact_that_fails_never_fails_the_job(act: Any) -> None:
    done = act(LOCAL, env={"STUB_FAIL": "upload-artifact"})
    assert done.code == 0, done.story


def payload(name: str) -> dict[str, Any]:
    event: dict[str, Any] = json.loads((PAYLOADS / f"{name}.json").read_text())
    return event


def test_a_pull_request_gets_status_and_comment_on_its_head(act: Any, github: Any) -> None:
    inputs = {"installables": ".#bad", "github-token": TOKEN, "statuses": "all", "comment": "failures"}
    done = act(inputs, event=payload("pull_request"), event_name="pull_request", env={"GITHUB_API_URL": github.url})
    assert done.code == 1
    assert {status["sha"] for status in github.statuses} == {HEAD}
    assert [(s["context"], s["state"]) for s in github.statuses] == [
        ("nix-repro (test-test-0-Linux-X64)", "failure"),
        ("nix-repro (test-test-0-Linux-X64): packages.x86_64-linux.bad", "failure"),
    ]
    [comment] = github.comments
    assert "bad-1.0" in comment["body"]
    assert done.commands("warning") == []


def test_a_fork_costs_one_warning_and_nothing_else(act: Any, github: Any) -> None:
    github.permissions = set()
    inputs = {"installables": ".#bad", "github-token": TOKEN, "comment": "always"}
    done = act(
        inputs, event=payload("pull_request_fork"), event_name="pull_request", env={"GITHUB_API_URL": github.url}
    )
    assert done.code == 1
    assert done.outputs()["exit-code"] == "1"
    [warning] = done.commands("warning")
    assert "Resource not accessible by integration" in warning
    assert "bad-1.0" in done.summary


def test_github_out_of_reach_changes_no_verdict(act: Any) -> None:
    done = act(LOCAL | {"github-token": TOKEN}, env={"GITHUB_API_URL": "http://127.0.0.1:9"})
    assert done.code == 0, done.story
    [warning] = done.commands("warning")
    assert "no answer from GitHub" in warning


def test_the_token_reaches_no_build_and_no_file(act: Any, github: Any) -> None:
    flake = act.repository / "flake.nix"
    flake.write_text(flake.read_text().replace('echo the same every time > "$out"', 'set > "$out"'))
    inputs = {"installables": ".#good", "github-token": "${{ secrets.GITHUB_TOKEN }}", "fail-on": "none"}
    done = act(inputs, event=payload("pull_request"), event_name="pull_request", env={"GITHUB_API_URL": github.url})
    assert len(github.statuses) == 1, done.story
    assert TOKEN not in done.text
    for folder, _, names in os.walk(act.record.parent):
        for name in names:
            path = Path(folder) / name
            if (
                path.is_file()
                and not path.is_symlink()
                and "actions" not in path.parts
                and path.stat().st_size < 1_000_000
            ):
                assert TOKEN.encode() not in path.read_bytes(), path


def test_a_builder_finds_the_token_in_no_process(act: Any, github: Any) -> None:
    """It runs without a sandbox, as the user of the job, and the whole job has the token in its environment."""
    flake = act.repository / "flake.nix"
    look = """PATH=/usr/bin:/bin
      for process in /proc/[0-9]*/environ; do
        ! grep -q THIS "$process" || tr "\\0" "\\n" < "$process"
      done 2>/dev/null > all || true
      grep -E "ghs_[0]123456789|an-[o]ther-secret" all > "$out" || echo nothing > "$out"
      grep -q NIX_CONFIG all || echo "it could read no process" >> "$out"
    """
    # Other tests' jobs may run beside this one.
    look = look.replace("THIS", str(act.record.parent))
    flake.write_text(flake.read_text().replace('echo the same every time > "$out"', look))
    nix = "experimental-features = nix-command flakes\nsubstituters =\nsandbox = false\nbuild-users-group ="
    inputs = {"installables": ".#good", "github-token": TOKEN, "nix-options": "access-tokens = x=an-other-secret-0123"}
    done = act(
        inputs,
        job={"env": {"GITHUB_TOKEN": TOKEN, "ACTIONS_RUNTIME_TOKEN": "an-other-secret-0123456789"}},
        event=payload("pull_request"),
        event_name="pull_request",
        env={"GITHUB_API_URL": github.url, "NIX_CONFIG": nix},
    )
    assert len(github.statuses) == 1, done.story
    report = json.loads((act.record / "nix-repro-test-test-0-Linux-X64" / "report.json").read_text())
    (output,) = report["derivations"][0]["outputs"].values()
    found = act.record.parent / "nix" / output["path"].removeprefix("/nix/")
    assert found.read_text() == "nothing\n"
