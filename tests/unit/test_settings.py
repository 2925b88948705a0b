"""Targets, fail-when and the test command in `.nix-repro.yml` and in flags: what is taken, and the line of what is
not."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nix_repro.config import Config, layer, load, read_file
from nix_repro.errors import UsageError
from nix_repro.metrics.targets import HIT_RATE, Limit
from nix_repro.settings import Setting, installables


def _read(tmp_path: Path, text: str, **flags: object) -> Config:
    file = tmp_path / ".nix-repro.yml"
    file.write_text(text)
    return load([read_file(file), layer(flags, "--{}")])


def test_targets_of_file_and_flags_are_joined(tmp_path: Path) -> None:
    text = "targets:\n  build: 7m\n  test: none\n  cold: {total: 1m30s, hit-rate: 95.5%}\n"
    assert _read(tmp_path, text, targets=("build=90s", "warm.fetch=5")).targets == (
        Limit("build", 420),
        Limit("test", None),
        Limit("total", 90, "cold"),
        Limit(HIT_RATE, 0.955, "cold"),
        Limit("build", 90),
        Limit("fetch", 5, "warm"),
    )


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        (
            "rounds: 2\ntargets:\n  build: 7m\n  cold:\n    total: 7 minutes\n",
            5,
            "'7 minutes' is not a duration such as 90s, 7m or 1m30s",
        ),
        ("targets:\n  hit-rate: 0.95\n", 2, "0.95 is not a percentage such as 95%"),
        ("targets:\n  hit-rate: 101%\n", 2, "'101%' is not a percentage"),
        ("targets:\n  build: true\n", 2, "True is not a duration"),
        ("targets:\n  speed: 7m\n", 2, "speed: unknown target; known are install, cache,"),
        ("targets:\n  tepid: {build: 7m}\n", 2, "tepid: unknown target"),
        ("targets: 7m\n", 1, "'7m' is not NAME=LIMIT"),
        ("fail-when:\n- .a == 1\n- 3\n", 3, "3 is not a jq expression"),
        ("fail-when:\n- .a == 1\n- ' '\n", 3, "' ' is not a jq expression"),
        ("scenario: tepid\n", 1, "'tepid' is not one of auto, cold, warm, first-time, cached"),
        ("test: {a: b}\n", 1, "{'a': 'b'} is not checks, none or a command"),
        ("test: 'a \"b'\n", 1, "No closing quotation"),
        ("test: [a, 1]\n", 1, "is not a command: a list of words"),
        ("base: --upload-pack=x\n", 1, "is not a Git revision"),
        ("since: 'a b'\n", 1, "is not a Git revision"),
    ],
)
def test_what_is_wrong_is_named_by_line(tmp_path: Path, text: str, line: int, words: str) -> None:
    with pytest.raises(UsageError) as raised:
        _read(tmp_path, text)
    assert f".nix-repro.yml:{line}: " in str(raised.value)
    assert words in str(raised.value)


def test_a_flag_is_named_too(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"--targets: 'build' is not NAME=LIMIT"):
        _read(tmp_path, "", targets=("build",))


def test_commands_never_meet_a_shell(tmp_path: Path) -> None:
    assert _read(tmp_path, "test: make 'a b' $(x)\n").test == ("make", "a b", "$(x)")
    assert _read(tmp_path, "test: [make, a b]\n").test == ("make", "a b")
    assert _read(tmp_path, "test: checks\n").test == "checks"
    assert _read(tmp_path, "").test == "none"


def test_expressions_keep_their_line(tmp_path: Path) -> None:
    (expression,) = _read(tmp_path, "rounds: 2\nfail-when:\n- .rounds < 2\n").fail_when
    assert expression.text == ".rounds < 2"
    assert expression.where.endswith(".nix-repro.yml:3: fail-when")


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (".#a .#b", (".#a", ".#b")),
        (".#a,.#b,\n  .#c\n", (".#a", ".#b", ".#c")),
        ('.#packages.x86_64-linux."foo bar" .#b', ('.#packages.x86_64-linux."foo bar"', ".#b")),
        ('.#"a.b"', ('.#"a.b"',)),
        ('.#"a, b".c, .#d', ('.#"a, b".c', ".#d")),
        # As for a shell.
        ("'.#\"a.b\"'", ('.#"a.b"',)),
        ("\".#a\" '.#b'", (".#a", ".#b")),
        (r'".#x.\"foo bar\".y"', ('.#x."foo bar".y',)),
        (".#x.'\"foo bar\"'", ('.#x."foo bar"',)),
        ('".#"\'"a b"\'', ('.#"a b"',)),
        ("'./my flake'#a", ("./my flake#a",)),
        # Nix's own.
        (r'.#"with\"mark" .#b', (r'.#"with\"mark"', ".#b")),
        ('.#"" .#b', ('.#""', ".#b")),
        (".#foldl' .#b'", (".#foldl'", ".#b'")),
        (".#a^out,dev .#b^*,.#c", (".#a^out,dev", ".#b^*", ".#c")),
        (".#a^out, .#b", (".#a^out", ".#b")),
        ("'' .#a \"\"", (".#a",)),
        ('.#x."foo bar .#b', None),
        ("'.#a .#b", None),
        ('".#a', None),
        ('.#"a\\', None),
        (".#x.'a", None),
    ],
)
def test_installables_are_split_as_they_are_written(written: str, meant: tuple[str, ...] | None) -> None:
    for where in ("input installables", "c.yml:3: installables"):
        if meant is None:
            with pytest.raises(UsageError, match=rf"^{where}: .*: this quotation mark is not closed$"):
                installables(Setting(written, where))
        else:
            assert installables(Setting(written, where)) == meant
            assert installables(Setting(list(meant), where)) == meant, "a list is taken as it is"


@given(st.lists(st.text(st.sampled_from("ab .,'\"#\\^"), max_size=8), max_size=4))
def test_what_is_quoted_for_a_shell_is_meant_literally(words: list[str]) -> None:
    wanted = tuple(f".#{word}" for word in words)
    text = " ".join(shlex.quote(word) for word in wanted)
    if wanted and not any("'" in word for word in wanted):
        assert installables(Setting(text, "x")) == tuple(shlex.split(text))
