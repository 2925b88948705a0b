"""The action's entry where something around the check goes wrong: what a run ends with, and what it says all the
same."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import msgspec
import pytest

from nix_repro.cli import action
from nix_repro.parts import VerifiedUse
from nix_repro.report import Report

ROOT = Path(__file__).parents[3]


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """A runner's environment, with a checkout; actions-toolkit reads the process's own."""
    for name in ("checkout", "temp"):
        (tmp_path / name).mkdir()
    for name in ("output", "summary"):
        (tmp_path / name).touch()
    environ = {
        "PATH": os.environ["PATH"],
        "GITHUB_WORKSPACE": str(tmp_path / "checkout"),
        "RUNNER_TEMP": str(tmp_path / "temp"),
        "GITHUB_OUTPUT": str(tmp_path / "output"),
        "GITHUB_STEP_SUMMARY": str(tmp_path / "summary"),
        "INPUT_HISTORY": "false",
    }
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    for name in ("GITHUB_REPOSITORY", "GITHUB_EVENT_PATH"):
        monkeypatch.delenv(name, raising=False)
    return environ


@pytest.fixture
def diverged(monkeypatch: pytest.MonkeyPatch) -> None:
    """The check itself has taken place and found this."""
    report = msgspec.json.decode((ROOT / "fixtures" / "reports" / "diverged.json").read_bytes(), type=Report)
    monkeypatch.setattr(action, "_check", lambda *_: report)


def outputs(job: dict[str, str]) -> str:
    return Path(job["GITHUB_OUTPUT"]).read_text("utf-8")


def test_the_exit_code_is_an_output_and_not_the_steps_end(job: dict[str, str], diverged: None) -> None:
    assert action.run(job) == 0
    assert "exit-code<<" in outputs(job)
    assert "\n1\n" in outputs(job)


def test_without_outputs_the_step_ends_with_the_verdict(
    job: dict[str, str], diverged: None, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setenv("GITHUB_OUTPUT", job["RUNNER_TEMP"] + "/gone")
    assert action.run(job) == 1
    printed = capsys.readouterr().out
    assert "::warning title=nix-repro::outputs not written" in printed
    assert "::error title=divergent" in printed
    assert "widgets-cli" in Path(job["GITHUB_STEP_SUMMARY"]).read_text("utf-8")


def test_without_a_summary_everything_else_is_there(job: dict[str, str], diverged: None, capsys: Any) -> None:
    job["GITHUB_STEP_SUMMARY"] = job["RUNNER_TEMP"]  # a directory
    assert action.run(job) == 0
    printed = capsys.readouterr().out
    assert "::warning title=nix-repro::step summary not written" in printed
    assert "::error title=divergent" in printed
    assert "exit-code<<" in outputs(job)


@pytest.mark.parametrize("directory", [".", "sub", "./sub/../sub"])
def test_a_mistake_in_the_configuration_is_shown_where_it_is(
    job: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: Any, directory: str
) -> None:
    flake = Path(job["GITHUB_WORKSPACE"]) / directory
    (Path(job["GITHUB_WORKSPACE"]) / "sub").mkdir()
    (flake / ".nix-repro.yml").write_text("installables: [.#a]\nrounds: one\n")
    monkeypatch.setenv("INPUT_WORKING_DIRECTORY", directory)
    assert action.run(job) == 0
    file = os.path.normpath(f"{directory}/.nix-repro.yml")
    printed = capsys.readouterr().out
    assert printed.startswith(f"::error title=nix-repro,file={file},line=2::")
    assert job["GITHUB_WORKSPACE"] not in printed
    assert "\n2\n" in outputs(job)


def test_an_input_is_named_as_it_is_written(job: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setenv("INPUT_NIX_OPTIONS", "sandbox")
    assert action.run(job) == 0
    assert (
        "::error title=nix-repro::input nix-options: the line that begins with 'sandbox' is not"
        in capsys.readouterr().out
    )


def test_nothing_is_started_while_an_input_is_in_the_environment(
    job: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """git is the first thing that is."""
    monkeypatch.setenv("GITHUB_EVENT_NAME", "pull_request")
    monkeypatch.setenv("INPUT_NIX_OPTIONS", "access-tokens = x=s3cret")
    monkeypatch.setenv("GITHUB_TOKEN", "s3cret")
    seen: list[str] = []
    popen = subprocess.Popen

    def start(*args: Any, **kwargs: Any) -> Any:
        seen.append(str(kwargs.get("env") or dict(os.environ)))
        return popen(*args, **kwargs)

    monkeypatch.setattr(subprocess, "Popen", start)
    (Path(job["GITHUB_WORKSPACE"]) / ".git").mkdir()
    read = action.read_inputs(os.environ)
    assert dict(read.config.options)["access-tokens"] == "x=s3cret"
    assert seen
    assert "s3cret" not in "".join(seen)


def test_the_flake_s_directory_is_no_way_out(job: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    (Path(job["GITHUB_WORKSPACE"]) / "sub").symlink_to("/etc")
    monkeypatch.setenv("INPUT_WORKING_DIRECTORY", "sub")
    assert action.run(job) == 0
    assert "input working-directory: 'sub' is a link out of the checkout" in capsys.readouterr().out


@pytest.mark.parametrize("content", [None, b"\x7fELF\x02\x01\x01" + bytes(60), b"#!/nonexistent\n"])
def test_a_nix_that_cannot_be_run_is_one_error_and_exit_code_2(
    job: dict[str, str], tmp_path: Path, capsys: Any, content: bytes | None
) -> None:
    job["PATH"] = job["HOME"] = str(tmp_path)
    if content is not None:
        (tmp_path / "nix").write_bytes(content)
        (tmp_path / "nix").chmod(0o755)
    assert action.run(job) == 0
    assert "exit-code<<" in outputs(job)
    assert "\n2\n" in outputs(job)
    said = capsys.readouterr().out
    (error,) = [line for line in said.splitlines() if line.startswith("::error")]
    assert ("Nix was not found" if content is None else "Nix cannot be run") in error
    assert "Traceback" not in said


@pytest.mark.parametrize(("given", "kept"), [("", True), ("true", True), ("false", False)])
def test_every_build_is_remembered_unless_told_otherwise(
    job: dict[str, str], monkeypatch: pytest.MonkeyPatch, given: str, kept: bool
) -> None:
    monkeypatch.setenv("INPUT_LEDGER", given)
    ledger = action.read_inputs(job).config.ledger
    assert (ledger is not None and ledger.parent.is_dir()) == kept


def test_where_no_ledger_can_be_the_run_goes_on(job: dict[str, str]) -> None:
    (Path(job["RUNNER_TEMP"]) / "nix-repro-ledger-of-").write_text("a file")
    assert action.read_inputs(job).config.ledger is not None


@pytest.mark.parametrize(
    ("given", "kept"), [("", False), ("magic", False), ("verified", True), ("magic,\n verified", True)]
)
def test_what_is_verified_is_kept_if_asked_for(
    job: dict[str, str], monkeypatch: pytest.MonkeyPatch, given: str, kept: bool
) -> None:
    monkeypatch.setenv("INPUT_CACHE", given)
    monkeypatch.setenv("INPUT_ID", "own")
    expected = Path(job["RUNNER_TEMP"]) / "nix-repro-verified-own" if kept else None
    assert action.read_inputs(job).config.verified_cache == expected


@pytest.mark.parametrize(
    ("use", "changed"),
    [
        (None, "false"),
        (VerifiedUse(paths=3, bytes=9, left_out=2), "false"),
        (VerifiedUse(paths=3, bytes=9, added=1), "true"),
        (VerifiedUse(paths=3, bytes=9, removed=1), "true"),
    ],
)
def test_the_verified_cache_is_saved_when_it_is_another(
    job: dict[str, str], monkeypatch: pytest.MonkeyPatch, use: VerifiedUse | None, changed: str
) -> None:
    report = msgspec.json.decode((ROOT / "fixtures" / "reports" / "diverged.json").read_bytes(), type=Report)
    monkeypatch.setattr(action, "_check", lambda *_: msgspec.structs.replace(report, verified_cache=use))
    assert action.run(job) == 0
    assert outputs(job).partition("verified-changed<<")[2].splitlines()[1] == changed
