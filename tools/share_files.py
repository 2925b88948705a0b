#!/usr/bin/env python3
"""Keeps share/ in step with the commands: the man page, and the completions that click makes for three shells.

PYTHONPATH=src python3 tools/share_files.py          writes them
PYTHONPATH=src python3 tools/share_files.py --check  exits 1 when they are not what the commands say
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import click
from click.shell_completion import get_completion_class

from nix_repro import __version__
from nix_repro.cli.app import cli

SHARE = Path(__file__).parents[1] / "share"
COMPLETIONS = {
    "bash": "bash-completion/completions/nix-repro",
    "zsh": "zsh/site-functions/_nix-repro",
    "fish": "fish/vendor_completions.d/nix-repro.fish",
}
#: The end of the man page: what no command's help has.
_REST = """\
.SH EXIT STATUS
.TP
.B 0
No difference was found, and all targets were met.
.TP
.B 1
Something diverges.
.TP
.B 2
A usage or configuration error.
.TP
.B 3
A target was missed, or a
.B fail\\-when
expression was true.
.TP
.B 4
A build failed.
.TP
.B 5
Something in scope is unverified.
.TP
.B 70
An internal error.
.TP
.BR 130 ", " 143
Interrupted. The report is still written.
.SH FILES
.TP
.I .nix\\-repro.yml
The configuration beside the flake. Options override it; it takes the same names, without the dashes in front.
.SH EXAMPLES
.TP
.B nix\\-repro check .#default
Builds the flake's default package twice and compares.
.TP
.B nix\\-repro check all \\-\\-rounds 5 \\-\\-report\\-dir report
Every package and check for this system, five times each, with the report in every form.
.TP
.B nix\\-repro explain report
Explains a report that is stored, without Nix.
.SH SEE ALSO
.BR nix (1),
.BR nix\\-store (1),
.BR diffoscope (1)
"""


def roff(text: str) -> str:
    """Text as roff has it: nothing in it is a request or an escape."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-")
    return re.sub(r"^(?=[.'])", r"\\&", escaped, flags=re.MULTILINE)


def _rows(command: click.Command) -> dict[str, str]:
    """The options and what they mean, but for --help, which every command has."""
    context = click.Context(command)
    options = [each for each in command.params if isinstance(each, click.Option)]
    return dict(row for each in options if (row := each.get_help_record(context)) is not None)


def _options(command: click.Command, known: dict[str, str]) -> Iterator[str]:
    """A paragraph for each option; those that are the same as `known` by name only."""
    rows = _rows(command)
    for option, meaning in rows.items():
        if known.get(option) != meaning:
            yield f".TP\n.B {roff(option)}\n{roff(meaning)}"
    if same := [option.split()[0].rstrip(",") for option, meaning in rows.items() if known.get(option) == meaning]:
        yield f".PP\nOptions as above: {roff(', '.join(same))}."


def _paragraphs(command: click.Command) -> str:
    text = (command.help or "").strip()
    return "\n.PP\n".join(roff(" ".join(part.split())) for part in text.split("\n\n"))


def manual() -> str:
    """The man page."""
    commands = {name: command for name, command in sorted(cli.commands.items()) if not command.hidden}
    usage = {name: " ".join(command.collect_usage_pieces(click.Context(command))) for name, command in commands.items()}
    (summary,) = re.findall(r"\A(.*?)\n\n", cli.help or "", re.DOTALL)
    lines = [
        f'.TH NIX\\-REPRO 1 "" "nix\\-repro {roff(__version__)}" "User Commands"',
        '.\\" Made by tools/share_files.py.',
        ".SH NAME",
        "nix\\-repro \\- builds a Nix flake twice, compares every output, and explains every difference",
        ".SH SYNOPSIS",
        "\n.br\n".join(f".B nix\\-repro {name}\n{roff(words)}" for name, words in usage.items()),
        ".SH DESCRIPTION",
        roff(" ".join(summary.split())),
        ".SH COMMANDS",
    ]
    known: dict[str, str] = {}
    for name, command in commands.items():
        lines += [f".SS nix\\-repro {name}", _paragraphs(command), *_options(command, known)]
        known |= _rows(command)
    return "\n".join(lines) + "\n" + _REST


def completion(shell: str) -> str:
    """What a shell reads to complete `nix-repro`."""
    made = get_completion_class(shell)
    assert made is not None
    return made(cli, {}, "nix-repro", "_NIX_REPRO_COMPLETE").source().rstrip() + "\n"


def files() -> dict[Path, str]:
    """Everything in share/, by path."""
    found = {SHARE / "man/man1/nix-repro.1": manual()}
    return found | {SHARE / path: completion(shell) for shell, path in COMPLETIONS.items()}


def main(arguments: list[str]) -> int:
    """The command."""
    made = files()
    if "--check" in arguments:
        return int(any(not path.is_file() or path.read_text("utf-8") != text for path, text in made.items()))
    for path, text in made.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
