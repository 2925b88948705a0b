"""YAML that nobody means well with: one error with file, line and key, soon, and nothing of another file."""

from __future__ import annotations

import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nix_repro.config import Config, load, read_settings
from nix_repro.errors import UsageError

KEYS = (
    "installables",
    "options",
    "upstream-caches",
    "test",
    "since",
    "rounds",
    "targets",
    "fail-when",
    "history",
    "timeout",
    "diffoscope",
    "explain",
    "scenario",
    "base-report",
    "rebuilder",
    "fail-on",
)


def read(text: str | bytes) -> Config:
    return load([read_settings(text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass"), "c.yml")])


def refused(text: str | bytes) -> str:
    """The error, which came soon, is one line and not a long one."""
    began = time.process_time()
    with pytest.raises(UsageError) as error:
        read(text)
    assert time.process_time() - began < 10
    said = str(error.value)
    assert said.startswith("c.yml")
    assert "\n" not in said
    assert len(said) < 1500
    return said


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("2024-01-01", "2024-01-01 is a date"),
        ("2024-99-99", "2024-99-99 is a date"),
        ("2001-12-14t21:59:43.10-05:00", "is a date"),
        ("9" * 5000, "999… is no number that anybody needs"),
        ("0x" + "f" * 5000, "is no number"),
        ("1" + ":59" * 3000, "is no number"),
        ("!!float 1." + "0" * 5000, "is no number"),
        (r'"\uD800"', "holds the character U+D800"),
        (r'"a\0b"', "holds the character U+0000"),
        (r'"\e[2J"', "holds the character U+001B"),
        ("!!binary YQ==", "is binary data"),
        ("!!set {a, b}", "is a set"),
        ("!!omap [a: 1]", "is an ordered mapping"),
        ("!!pairs [a: 1]", "is a list of pairs"),
        ("!!int foo", "foo is not what its tag !!int says"),
        ("!!int ''", "is not what its tag !!int says"),
        ("!!float x", "is not what its tag"),
        ("!!bool x", "is not what its tag"),
        ("!!timestamp x", "is a date"),
        ("!!int [1]", "could not determine a constructor"),
        ("!!python/name:os.system ''", "could not determine a constructor"),
        ("!x", "could not determine a constructor for the tag '!x'"),
        ("{<<: {a: b}}", "is a merge key"),
        ("{? [a] : b}", "cannot be a key"),
        ("{? {a: b} : c}", "cannot be a key"),
        ("{a: b, a: c}", "a is given twice"),
        ("{2024-01-01: b}", "is a date"),
        (r'{"\uD800": b}', "holds the character U+D800"),
        ("[" * 30 + "]" * 30, "nested too deeply"),
        ("&a [*a]", "nested too deeply"),
        ("&a {b: *a}", "nested too deeply"),
        ("x" * 5000, "a text of 5,000 characters"),
        (f"[{'x, ' * 2000}]", "more than 1,000 values"),
    ],
)
def test_odd_values_are_one_error_with_file_line_and_key(key: str, value: str, says: str) -> None:
    said = refused(f"# first\n{key}: {value}\n")
    assert said.startswith(f"c.yml:2: {key}: ")
    assert says in said


def test_the_line_is_that_of_what_is_odd() -> None:
    assert refused("options:\n  cores: 1\n  timeout: 2024-01-01\n").startswith("c.yml:3: options: ")
    assert refused("targets:\n  cold:\n    build: !x y\n").startswith("c.yml:3: targets: ")


def test_aliases_stand_for_what_they_name() -> None:
    assert read("installables: &i [.#a]\nrounds: &r 3\n").installables == (".#a",)
    assert read("test: [make, &t test, *t]\n").test == ("make", "test", "test")


def test_a_bomb_of_aliases_is_no_work() -> None:
    rows = "".join(f"- &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 15))
    assert refused(f"test:\n- &a0 [x, x]\n{rows}").endswith("more than 1,000 values")


@pytest.mark.size
@pytest.mark.parametrize(
    "text",
    [
        "installables: " + "[" * 30_000,
        "installables: " + "{a: " * 10_000,
        "? " * 30_000,
        "- " * 30_000,
        "installables: '" + "'" * 60_000,
        "installables: [" + "a," * 30_000 + "]",
        "installables: {" + ",".join(f"k{i}: 1" for i in range(7000)) + "}",
        "%YAML 1." + "1" * 50_000 + "\n---\nrounds: 2\n",
        'rounds: "\\UFFFFFFFF"',
        "rounds: !<" + "%41" * 20_000 + "> x",
        "rounds: " + "1_" * 30_000,
        "&a " * 20_000,
        b"\xff\xfe",
        "k" * 60_000 + ": 1",
    ],
)
def test_nothing_takes_long(text: str | bytes) -> None:
    refused(text)


PLAIN = st.none() | st.booleans() | st.integers() | st.dates() | st.text(max_size=8)


@given(st.sampled_from(KEYS), st.text(max_size=60))
@example("rounds", "!!int _")
@example("rounds", '"\\U00110000"')
@example("options", "{? : }")
@example("since", "!!timestamp 9999-99-99")
def test_no_text_is_a_traceback(key: str, text: str) -> None:
    try:
        read(f"{key}: {text}\n")
    except UsageError as error:
        assert str(error).startswith("c.yml")  # noqa: PT017
