"""The man page and the completions say what the commands are."""

from __future__ import annotations

import click
import pytest
from click.testing import CliRunner

from nix_repro.cli.app import cli
from tools import tool

SHARE = tool("share_files")
MANUAL = SHARE.manual()


def test_they_are_in_step_with_the_commands() -> None:
    assert SHARE.main(["--check"]) == 0, "run tools/share_files.py"


@pytest.mark.parametrize("name", [name for name, command in cli.commands.items() if not command.hidden])
def test_the_manual_has_every_command_and_option(name: str) -> None:
    section = MANUAL.partition(f".SS nix\\-repro {name}\n")[2].partition("\n.S")[0]
    options = [option for option in cli.commands[name].params if isinstance(option, click.Option)]
    assert [each.opts[0] for each in options if SHARE.roff(each.opts[0]) not in section] == []


def test_the_manual_hides_what_users_do_not_call() -> None:
    assert not [name for name, command in cli.commands.items() if command.hidden and f"repro {name}" in MANUAL]


@pytest.mark.parametrize(
    ("text", "escaped"),
    [(".so /etc/passwd", "\\&.so /etc/passwd"), ("'x", "\\&'x"), ("a\n.b", "a\n\\&.b"), ("--a\\b", "\\-\\-a\\eb")],
)
def test_text_is_text_to_roff(text: str, escaped: str) -> None:
    assert SHARE.roff(text) == escaped


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("nix-repro ", ["allow", "check", "demo", "doctor", "explain", "ledger", "plan"]),
        ("nix-repro check --report", ["--report-dir", "--report-json"]),
        ("nix-repro plan --sco", ["--scope"]),
    ],
)
def test_a_shell_is_told_what_may_follow(words: str, found: list[str]) -> None:
    """What the installed scripts ask."""
    asked = {"COMP_WORDS": words, "COMP_CWORD": str(len(words.split(" ")) - 1), "_NIX_REPRO_COMPLETE": "bash_complete"}
    said = CliRunner().invoke(cli, prog_name="nix-repro", env=asked).output
    assert sorted(line.partition(",")[2] for line in said.splitlines()) == found


@pytest.mark.parametrize("shell", SHARE.COMPLETIONS)
def test_the_completions_call_the_command_by_its_name(shell: str) -> None:
    assert f"_NIX_REPRO_COMPLETE={shell}_complete" in SHARE.completion(shell)
