"""Lines in a width: whole words, nothing lost, names broken where they can be."""

from __future__ import annotations

import shlex
import subprocess

import pytest
from rich.cells import cell_len

from nix_repro.output.render.lines import TableRow, table, wrap, wrap_code, wrap_command

NAME = "python3.11-a-very-long-name_of.something/with:everything-in-it-and-more"


@pytest.mark.parametrize(
    ("text", "width", "lines"),
    [
        ("one two three", 20, ["one two three"]),
        ("one two three", 8, ["one two", "three"]),
        ("one  two   three", 9, ["one  two", "three"]),
        ("", 10, [""]),
        ("a-b-c-d-e-f-g-h", 8, ["a-b-c-d-", "e-f-g-h"]),
        ("x" * 20, 8, ["x" * 8, "x" * 8, "x" * 4]),
        ("a xx-yyyyyyyyyyyyy", 8, ["a xx-", "yyyyyyyy", "yyyyy"]),
        ("日本語日本語", 8, ["日本語日", "本語"]),
        ("one two", None, ["one two"]),
    ],
)
def test_words_stay_whole_where_they_can(text: str, width: int | None, lines: list[str]) -> None:
    assert wrap(text, width) == lines


@pytest.mark.parametrize("width", [12, 20, 40, 79])
@pytest.mark.parametrize(
    "text", [NAME, f"said of {NAME}, and of another one", "日本語 " * 30, "   indented log line  x"]
)
def test_nothing_is_lost_or_too_wide(text: str, width: int) -> None:
    lines = wrap(text, width, 2, 4)
    assert "".join("".join(lines).split()) == "".join(text.split())
    assert all(cell_len(line) <= width for line in lines)
    assert all(line.startswith("    ") for line in lines[1:])


@pytest.mark.parametrize("width", [20, 40, 80, 200, None])
def test_a_shell_takes_the_lines_of_a_command_for_one(width: int | None) -> None:
    words = ["--fail-when", '.a > "b c"', "github:acme/widgets#it's", ".#x y", "", "--rounds", "3"]
    lines = wrap_command("", f"printf '%s\\n' {shlex.join(words)}", width, 2)
    done = subprocess.run(["sh", "-c", "\n".join(lines)], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == words
    assert width is None or all(cell_len(line) <= max(width, 40) for line in lines)


@pytest.mark.parametrize(
    ("line", "lines"),
    [
        ("short = 1;   # of a word", ["  short = 1;   # of a word"]),
        (
            "enable = false;   # to find out: run it again",
            ["  # to find out: run it", "  # again", "  enable = false;"],
        ),
        ("# for example: one or two words", ["  # for example: one or", "  # two words"]),
        ("a = { one = 1; two = 22; three = 3; };", ["  a = { one = 1; two =", "    22; three = 3; };"]),
    ],
)
def test_a_comment_stays_one(line: str, lines: list[str]) -> None:
    assert wrap_code(line, 26 if len(line) < 26 else 24, 2) == lines


def test_what_is_no_command_line_is_shown_all_the_same() -> None:
    assert " ".join(wrap_command("", "it's a 'half", 12)).replace(" \\", "").split() == ["it's", "a", "'half"]


def test_a_table_keeps_its_columns_as_long_as_names_have_room() -> None:
    rows = [TableRow([("✓", ""), (NAME, ""), ("fine", ""), ("1.0", "")]), TableRow((), "and more")]
    header = ("", "name", "verdict", "seconds")
    wide = [line.plain for line in table(header, rows, ("seconds",), 200)]
    assert wide[1].split() == ["✓", NAME, "fine", "1.0"]
    narrow = [line.plain for line in table(header, rows, ("seconds",), 60)]
    assert max(map(len, narrow)) <= 60
    assert "".join(line[3:42].strip() for line in narrow[1:-1]) == NAME
    record = [line.plain for line in table(header, rows, ("seconds",), 30)]
    assert record[-2:] == ["    verdict fine, seconds 1.0", "    and more"]
    assert max(map(len, record)) <= 30
