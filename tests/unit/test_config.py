"""Settings from a file, inputs and flags: what is accepted, and how what is not is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nix_repro.build.variations import ALL
from nix_repro.config import Config, kept, layer, load, read_file
from nix_repro.errors import UsageError
from nix_repro.settings import duration


def from_file(tmp_path: Path, text: str | bytes) -> Config:
    path = tmp_path / ".nix-repro.yml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return load([read_file(path)])


FULL = """\
# comments are fine
installables:
  - .#default
  - packages.x86_64-linux."weird name"
scope: closure
rounds: 3
rebuilder: local?root=/var/other
jobs: auto
cores: 0
timeout: 1h30m
options:
  sandbox: false
  max-silent-time: 60
  substituters: ""
fail-on: [divergence]
upstream-caches: https://a https://b
"""


def test_a_whole_file(tmp_path: Path) -> None:
    assert from_file(tmp_path, FULL) == Config(
        installables=(".#default", 'packages.x86_64-linux."weird name"'),
        scope="closure",
        rounds=3,
        rebuilder="local?root=/var/other",
        jobs="auto",
        cores=0,
        timeout=5400,
        options=(("sandbox", "false"), ("max-silent-time", "60"), ("substituters", "")),
        fail_on=("divergence",),
        upstream_caches=("https://a", "https://b"),
    )


@pytest.mark.parametrize("text", ["", "\n", "# nothing\n", "---\n"])
def test_an_empty_file_is_all_defaults(tmp_path: Path, text: str) -> None:
    assert from_file(tmp_path, text) == Config()


@pytest.mark.parametrize(
    ("text", "line", "key", "says"),
    [
        ("round: 2\n", 1, "round", "unknown key; known are "),
        ("scope: own\n\nround: 2\n", 3, "round", "unknown key"),
        ("rounds: two\n", 1, "rounds", "'two' is not a whole number from 2 to 20"),
        ("rounds: 1\n", 1, "rounds", "1 is not a whole number from 2 to 20"),
        ("rounds: 21\n", 1, "rounds", "21 is not"),
        ("rounds: true\n", 1, "rounds", "True is not"),
        ("rounds: 2.5\n", 1, "rounds", "2.5 is not"),
        ("rounds:\n", 1, "rounds", "None is not"),
        ("rounds: [2]\n", 1, "rounds", "[2] is not"),
        ("rounds: 2\nrounds: 3\n", 2, "rounds", "given twice"),
        ("scope: everything\n", 1, "scope", "'everything' is not one of installables, own, closure"),
        ("scope: [own]\n", 1, "scope", "['own'] is not one of"),
        (
            "rebuilder: magic\n",
            1,
            "rebuilder",
            "'magic' is not one of auto, shadow, replace, nix-check, or a store URL",
        ),
        ("rebuilder: 5\n", 1, "rebuilder", "5 is not"),
        ("timeout: soon\n", 1, "timeout", "'soon' is not a duration such as 90s, 7m or 1m30s"),
        ("timeout: 0\n", 1, "timeout", "0 is not a duration"),
        ("timeout: -5\n", 1, "timeout", "-5 is not a duration"),
        ("timeout: true\n", 1, "timeout", "True is not a duration"),
        ("timeout: 1m30\u0661s\n", 1, "timeout", "is not a duration"),
        ("jobs: many\n", 1, "jobs", "'many' is not a whole number"),
        ("jobs: 0\n", 1, "jobs", "0 is not a whole number"),
        ("cores: -1\n", 1, "cores", "-1 is not a whole number"),
        (
            "fail-on: divergance\n",
            1,
            "fail-on",
            "'divergance' is not one of divergence, new-divergence, overrun, build-failure, unverified",
        ),
        ("fail-on:\n  - divergence\n  - 5\n", 2, "fail-on", "is not a list of words"),
        ("fail-on: {divergence: yes}\n", 1, "fail-on", "is not a list of words"),
        ("installables: []\n", 1, "installables", "at least one installable"),
        ('installables: ""\n', 1, "installables", "at least one installable"),
        ("installables: [--impure]\n", 1, "installables", "'--impure' is not an installable"),
        ("installables:\n  - .#a\n  - null\n", 2, "installables", "is not a list of words"),
        ("options: [a, b]\n", 1, "options", "is not a mapping from Nix setting names to values"),
        ("options: {}\n", 1, "options", "is not a mapping"),
        ("options: {'--store': /x}\n", 1, "options", "is not a mapping"),
        ("options: {cores: [1]}\n", 1, "options", "is not a mapping"),
        ("options: {1: 2}\n", 1, "options", "is not a mapping"),
        ("options: sandbox\n", 1, "options", "is not `name = value`"),
        ("upstream-caches: 5\n", 1, "upstream-caches", "is not a list of words"),
        ("rounds: !!python/object/apply:os.system [id]\n", 1, "rounds", "could not determine a constructor"),
    ],
)
def test_a_bad_value_is_named_by_file_line_and_key(tmp_path: Path, text: str, line: int, key: str, says: str) -> None:
    with pytest.raises(UsageError) as error:
        from_file(tmp_path, text)
    message = str(error.value)
    assert message.startswith(f"{tmp_path}/.nix-repro.yml:{line}: {key}: "), message
    assert says in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("rounds: [2\n", ":2: "),
        ("\trounds: 2\n", ":1: "),
        ("- rounds\n", ":1: expected `key: value` lines"),
        ("just words\n", ":1: expected `key: value` lines"),
        (b"scope: \xff\xfe\n", ": not UTF-8"),
        ("a: &a [*a]\n", ":1: a: unknown key"),
        ("rounds: *nowhere\n", ":1: found undefined alias"),
        ("rounds: 2\n---\nrounds: 3\n", ":2: but found another document"),
        ("scope: \x00\n", ": "),
    ],
)
def test_a_file_that_is_no_mapping(tmp_path: Path, text: str | bytes, says: str) -> None:
    with pytest.raises(UsageError) as error:
        from_file(tmp_path, text)
    assert str(error.value).startswith(f"{tmp_path}/.nix-repro.yml")
    assert says in str(error.value)


def test_a_value_that_holds_itself(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="options"):
        from_file(tmp_path, "options: &o {a: *o}\n")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"none\.yml: No such file or directory"):
        read_file(tmp_path / "none.yml")
    with pytest.raises(UsageError, match="Is a directory"):
        read_file(tmp_path)


def test_later_layers_win_key_by_key(tmp_path: Path) -> None:
    path = tmp_path / "c.yml"
    path.write_text("rounds: 3\nscope: closure\n")
    inputs = layer({"rounds": "4", "timeout": "", "fail_on": None}, "input {}")
    flags = layer({"rounds": "5", "installables": (), "fail_on": "none"}, "--{}")
    merged = load([read_file(path), {k: v for k, v in inputs.items() if v.value != ""}, flags])
    assert (merged.rounds, merged.scope, merged.fail_on, merged.installables) == (5, "closure", (), (".#default",))


@pytest.mark.parametrize(
    ("values", "where", "message"),
    [
        ({"rounds": "x"}, "--{}", "--rounds: 'x' is not"),
        ({"fail_on": "x"}, "--{}", "--fail-on: 'x' is not one of"),
        ({"options": "a"}, "input {}", "input options: the line that begins with 'a' is not `name = value`"),
        (
            {"options": "access-tokens: github.com=s3cr3t"},
            "input {}",
            "input options: the line that begins with 'access-tokens' is not `name = value`",
        ),
        (
            {"options": "cores = 1\n--store = /x"},
            "input {}",
            "input options: the line that begins with '--store' is not `name = value`",
        ),
        ({"fail_on": ", ,"}, "input {}", "input fail-on: ', ,' is not one of"),
        ({"upstream_caches": 3}, "input {}", "input upstream-caches: 3 is not"),
    ],
)
def test_a_bad_flag_or_input_is_named(values: dict[str, Any], where: str, message: str) -> None:
    with pytest.raises(UsageError) as error:
        load([layer(values, where)])
    assert str(error.value).startswith(message)


def test_options_in_every_form() -> None:
    expected = (("sandbox", "false"), ("substituters", "https://a?x=1 https://b"))
    pairs = (("sandbox", "false"), ("substituters", "https://a?x=1 https://b"))
    lines = "# as in nix.conf\nsandbox = false\n\n  substituters=https://a?x=1 https://b\n"
    assert load([layer({"options": pairs}, "--{}")]).options == expected
    assert load([layer({"options": lines}, "input {}")]).options == expected


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 90),
        ("90s", 90),
        ("7m", 420),
        ("1m30s", 90),
        ("1m30", 90),
        ("1h", 3600),
        ("1h1m1s", 3661),
        (" 5s ", 5),
        ("0s", 0),
    ],
)
def test_durations(text: str, seconds: int) -> None:
    assert duration(text) == seconds


@pytest.mark.parametrize("text", ["", "s", "5 m", "1.5h", "m5", "5x", "-5s", "30s1m", "1e3", "9" * 30])
def test_no_durations(text: str) -> None:
    assert duration(text) is None


@given(st.integers(0, 99), st.integers(0, 59), st.integers(0, 59))
def test_durations_add_up(hours: int, minutes: int, seconds: int) -> None:
    assert duration(f"{hours}h{minutes}m{seconds}s") == hours * 3600 + minutes * 60 + seconds


YAML = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=10),
    lambda i: st.lists(i, max_size=3) | st.dictionaries(st.text(max_size=5), i, max_size=3),
)


@given(
    st.dictionaries(
        st.sampled_from(
            [
                "installables",
                "scope",
                "rounds",
                "rebuilder",
                "jobs",
                "cores",
                "timeout",
                "options",
                "fail_on",
                "upstream_caches",
            ]
        ),
        YAML,
    )
)
def test_no_value_is_a_traceback(values: dict[str, Any]) -> None:
    try:
        load([layer(values, "x {}")])
    except UsageError as error:
        assert str(error).startswith("x ")  # noqa: PT017


def test_off_needs_no_quotes(tmp_path: Path) -> None:
    """YAML 1.1 takes it for false."""
    assert from_file(tmp_path, "explain: off\n").explain == "off"
    with pytest.raises(UsageError, match="scope: False is not one of"):
        from_file(tmp_path, "scope: off\n")


@pytest.mark.size
def test_a_file_without_a_bottom(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"\.nix-repro\.yml: nested too deeply"):
        from_file(tmp_path, f"test: {'[' * 5000}\n")


@pytest.mark.parametrize(
    ("config", "options"),
    [
        (Config(), []),
        (Config(rounds=3, scope="closure"), [("--rounds", "3"), ("--scope", "closure")]),
        (Config(vary=ALL), [("--vary", "all")]),
        (Config(vary=("zone", "kernel")), [("--vary", "zone kernel")]),
        (Config(vary=()), [("--vary", "none")]),
        (Config(upstream_caches=()), [("--upstream-caches", "none")]),
        (Config(upstream_caches=("https://a", "https://b")), [("--upstream-caches", "https://a https://b")]),
        (Config(upstream_caches=("https://user:secret@a",)), []),
        (Config(upstream_caches=("s3://a?secret-key=x",), scope="installables"), [("--scope", "installables")]),
    ],
)
def test_what_a_repetition_elsewhere_has_to_be_told(config: Config, options: list[tuple[str, str]]) -> None:
    assert kept(config) == options
