"""The command line itself: what is said, and with which exit code, before any Nix runs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ENV = {"PATH": "/nonexistent", "PYTHONPATH": ":".join(sys.path), "HOME": "/nonexistent", "LC_ALL": "C.UTF-8"}


def run(*args: str, cwd: Path, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "nix_repro", *args],
        cwd=cwd,
        env=env or ENV,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def usage_error(done: subprocess.CompletedProcess[str]) -> str:
    """Exit code 2, nothing on standard output, no traceback. Returns what was said."""
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    return done.stderr


def test_help_names_every_command_and_the_exit_codes(tmp_path: Path) -> None:
    done = run("--help", cwd=tmp_path)
    assert done.returncode == 0
    for word in ("check", "plan", "demo", "Exit codes", "130/143"):
        assert word in done.stdout
    assert done.stderr == ""


def test_help_loads_nothing_heavy(tmp_path: Path) -> None:
    """Why it starts fast; docs/performance.md has the numbers."""
    code = """
import sys
sys.argv = ["nix-repro", "--help"]
from nix_repro.cli.app import main
try:
    main()
except SystemExit:
    pass
heavy = {"rich", "jq", "yaml", "jinja2", "github", "requests", "actions_toolkit"} & set(sys.modules)
sys.exit(f"loaded: {heavy}" if heavy else 0)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=ENV, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_version(tmp_path: Path) -> None:
    assert run("--version", cwd=tmp_path).stdout.startswith("nix-repro, version 1.")


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["frobnicate"], "No such command 'frobnicate'"),
        (["check", "--frobnicate"], "No such option"),
        (["check", "--option", "one"], "requires 2 arguments"),
        (["check", "--rounds", "1"], "nix-repro: --rounds: '1' is not a whole number from 2 to 20"),
        (["check", "--scope", "all"], "nix-repro: --scope: 'all' is not one of installables, own, closure"),
        (["check", "--rebuilder", "x"], "nix-repro: --rebuilder: 'x' is not one of"),
        (["check", "--timeout", "x"], "nix-repro: --timeout: 'x' is not a duration"),
        (["check", "--fail-on", "x"], "nix-repro: --fail-on: 'x' is not one of"),
        (["check", "--option", "Bad Name", "1"], "nix-repro: --options: "),
        (["check", "--config", "none.yml"], "nix-repro: none.yml: No such file or directory"),
        (["check", "--", "--impure"], "'--impure' is not an installable"),
        (["plan", "--cores", "-1"], "nix-repro: --cores: '-1' is not"),
        (["check", "--report-json", "/tmp/.."], "nix-repro: --report-json: / is a directory"),
        ([".#default", "--rounds", "3"], "No command was given. Did you mean 'nix-repro check .#default'?"),
        (["github:o/r#x"], "Did you mean 'nix-repro check github:o/r#x'?"),
        (["--scope", "own", ".#x"], "--scope belongs behind a command, as in 'nix-repro check --scope'"),
        (["--frobnicate"], "No such option"),
        (["chek"], "check"),
        (["check", "--targets", "build=soon"], "nix-repro: --targets: "),
        (["check", "--target", "build=soon"], "nix-repro: --targets: "),
        (["check", "--options", "Bad Name", "1"], "nix-repro: --options: "),
        (["check", "--report-jsn", "x"], "--report-json"),
        (["check"], "nix-repro: Nix was not found on PATH."),
        (["plan"], "nix-repro: Nix was not found on PATH."),
    ],
)
def test_usage_errors(tmp_path: Path, args: list[str], says: str) -> None:
    assert says in usage_error(run(*args, cwd=tmp_path))


def test_the_file_of_the_directory_is_read(tmp_path: Path) -> None:
    (tmp_path / ".nix-repro.yml").write_text("scope: own\nrounds: many\n")
    assert (
        usage_error(run("check", cwd=tmp_path))
        == "nix-repro: .nix-repro.yml:2: rounds: 'many' is not a whole number from 2 to 20\n"
    )
    assert "Nix was not found" in usage_error(run("check", "--rounds", "2", cwd=tmp_path)), (
        "a flag replaces the file's bad value"
    )


@pytest.mark.parametrize("command", ["plan", "check", "demo"])
def test_a_plan_runs_no_code_of_the_clone(tmp_path: Path, command: str) -> None:
    """Nix would load it before it looks at anything: whatever is asked of Nix runs it."""
    (tmp_path / ".nix-repro.yml").write_text("options:\n  plugin-files: ./evil.so\n")
    said = run(command, cwd=tmp_path)
    if command == "demo":
        assert "Nix was not found" in usage_error(said), "the file of the current directory is not the demo's"
    else:
        assert usage_error(said).startswith(
            "nix-repro: .nix-repro.yml:2: options: plugin-files: not among the settings"
        )
    assert "plugin-files" in usage_error(run("plan", "--option", "plugin-files", "./evil.so", cwd=tmp_path))


@pytest.mark.parametrize("command", ["plan", "check"])
def test_a_link_in_the_file_s_place_shows_nothing(tmp_path: Path, command: str) -> None:
    (tmp_path / "secret").write_text("s3cret: line\n")
    (tmp_path / "clone").mkdir()
    (tmp_path / "clone" / ".nix-repro.yml").symlink_to(tmp_path / "secret")
    said = usage_error(run(command, cwd=tmp_path / "clone"))
    assert said == "nix-repro: .nix-repro.yml: a symbolic link is not followed here\n"
    # Whoever names it has looked at it.
    assert "s3cret" in usage_error(run(command, "--config", "../secret", cwd=tmp_path / "clone"))


def test_a_hostile_value_is_shown_and_not_obeyed(tmp_path: Path) -> None:
    assert "\x1b" not in usage_error(run("check", "--scope", "\x1b[2J", cwd=tmp_path))


def test_a_report_that_could_not_be_written_is_refused_at_once(tmp_path: Path) -> None:
    """What can be known before the run is said before the run: nobody builds an hour for a report that cannot be
    written."""
    (tmp_path / "file").touch()
    said = usage_error(run("check", "--report-json", "file/report.json", cwd=tmp_path))
    assert said.startswith(f"nix-repro: --report-json: {tmp_path}/file: ")
    assert os.listdir(tmp_path) == ["file"]


def test_trees_of_an_earlier_run_are_seen_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "kept/x/out/a").mkdir(parents=True)
    assert f"--keep: {tmp_path}/kept is not empty" in usage_error(run("check", "--keep", "kept", cwd=tmp_path))


def test_errors_are_text_on_a_terminal(tmp_path: Path) -> None:
    assert "\x1b" not in usage_error(run("check", "--config", "\x1b]0;title\x07", cwd=tmp_path))


def test_a_fault_of_ours_is_no_verdict(tmp_path: Path) -> None:
    """Python ends with 1, which means divergence here. A click that is broken stands in for what nobody has thought
    of."""
    code = """
import sys
from nix_repro.cli import app as cli
cli.cli.main = lambda **_: 1 / 0
cli.main()
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=ENV, capture_output=True, text=True, check=False
    )
    assert done.returncode == 70
    assert "ZeroDivisionError" in done.stderr
    assert done.stderr.endswith("nix-repro: an internal error, which says nothing about the builds\n")


def elf(machine: int) -> bytes:
    """The head of a program for this kind of machine."""
    return b"\x7fELF\x02\x01\x01" + bytes(9) + (2).to_bytes(2, "little") + machine.to_bytes(2, "little") + bytes(64)


#: What stands where Nix should, and what is said of it.
NO_NIX = {
    "nothing": (None, 0o755, "Nix was not found on PATH"),
    "not executable": (b"#!/bin/sh\n", 0o644, "is not executable for this user"),
    "of another machine": (elf(0xF3), 0o755, "Nix cannot be run: .*/nix: Exec format error"),
    "without its interpreter": (b"#!/nonexistent/sh\n", 0o755, "Nix cannot be run: .*/nix: No such file"),
    "empty": (b"", 0o755, "Nix cannot be run: .*/nix: Exec format error|does not answer as Nix does"),
    "another program": (b"#!/bin/sh\necho hello\n", 0o755, "does not answer as Nix does"),
    "without its libraries": (b"#!/bin/sh\necho libnixstore.so: not found >&2; exit 127\n", 0o755, "libnixstore.so"),
    "killed": (b"#!/bin/sh\nkill -9 $$\n", 0o755, "nix ended with -9"),
}


@pytest.mark.parametrize("what", NO_NIX)
@pytest.mark.parametrize("command", ["check", "plan", "doctor", "demo", "explain"])
def test_a_nix_that_cannot_be_run_is_one_clear_message(tmp_path: Path, command: str, what: str) -> None:
    content, mode, said = NO_NIX[what]
    (tmp_path / "bin").mkdir()
    if content is not None:
        (tmp_path / "bin/nix").write_bytes(content)
        (tmp_path / "bin/nix").chmod(mode)
    env = {**ENV, "PATH": f"{tmp_path}/bin"}
    args = [command, *([".#x"] if command == "explain" else [])]
    words = usage_error(run(*args, cwd=tmp_path, env=env))
    # What comes before it says what is being done.
    assert re.search(said, words.splitlines()[-1]), words


@pytest.mark.parametrize("command", ["check", "explain", "demo"])
def test_everything_and_nothing_is_not_to_be_had_together(command: str, tmp_path: Path) -> None:
    args = [".#x"] if command == "explain" else []
    assert "--verbose and --quiet: one or the other" in usage_error(run(command, *args, "-v", "-q", cwd=tmp_path))
