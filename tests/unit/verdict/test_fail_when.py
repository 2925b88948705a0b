"""fail-when: exactly one boolean, in a process that has nothing, in no time."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest

import nix_repro
from nix_repro.errors import UsageError
from nix_repro.verdict import fail_when as policy
from nix_repro.verdict.fail_when import Expression

REPORT = b'{"rounds": 2, "caches": {"hit_rate": null}, "targets": [{"ok": true}]}'


def ask(*texts: str) -> tuple[list[bool], list[str]]:
    policies, errors = policy.evaluate([Expression(text, f"file:{i}") for i, text in enumerate(texts)], REPORT)
    return [row.failed for row in policies], errors


def test_true_fails_and_false_does_not() -> None:
    assert ask(".rounds < 3", ".rounds > 3", "any(.targets[]; .ok == false)") == ([True, False, False], [])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (".caches.hit_rate", "null or no boolean"),
        (".rounds", "null or no boolean"),
        ("true, false", "more than one value"),
        ("empty", "no value"),
        (".rounds | error", "jq says: 2"),
        ("repeat(empty)", "ran for more than 2 s"),
        ("[limit(100000000; repeat(1))] | length > 1", "time or memory|ran for more than 2 s"),
    ],
)
def test_anything_else_is_a_mistake_in_the_configuration(text: str, words: str) -> None:
    _, (error,) = ask(text)
    assert error.startswith(f"file:0: {text!r} must give exactly one true or false; ")
    assert any(word in error for word in words.split("|"))


def test_an_expression_sees_no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_TOKEN", "a-long-token")
    assert ask("$ENV | length > 0", "env | length > 0") == ([False, False], [])


@pytest.mark.parametrize(
    "program", ['import "x" as $x {search: "DIR"}; error($x | tostring)', 'include "y" {search: "DIR"}; true']
)
def test_an_expression_opens_no_file(tmp_path: Path, program: str) -> None:
    (tmp_path / "x.json").write_text('{"token": "s3cret"}')
    (tmp_path / "y.jq").write_text("s3cret: line")
    expression = Expression(program.replace("DIR", str(tmp_path)), "file:1")
    with pytest.raises(UsageError, match=r"^file:1: .* is not jq: ") as error:
        policy.check_syntax([expression])
    _, (said,) = policy.evaluate([expression], b"{}")
    assert "s3cret" not in str(error.value) + said


def test_endless_programs_are_gone_afterwards() -> None:
    began = time.monotonic()
    ask("repeat(empty)")
    assert time.monotonic() - began < 20


def test_syntax_is_looked_at_first() -> None:
    with pytest.raises(UsageError, match=r"^file:7: '\.a \|' is not jq: "):
        policy.check_syntax([Expression(".a", "file:6"), Expression(".a |", "file:7")])


def test_what_jq_computes_while_it_reads_is_bounded_too() -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(UsageError, match=r"^file:1: '.*' (it ran for more than 2 s|it used up its time or memory)$"):
        policy.check_syntax([Expression('"x" * 1500000000 | length > 1', "file:1")])
    # Kilobytes; macOS counts in bytes.
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000 * (
        1024 if sys.platform == "darwin" else 1
    )


@pytest.mark.parametrize("text", ["\0", '. == "\ud800"'])
def test_what_cannot_be_an_argument_is_not_jq(text: str) -> None:
    with pytest.raises(UsageError, match="is not jq: it is no text"):
        policy.check_syntax([Expression(text, "file:1")])


def test_jq_is_where_the_program_itself_has_found_it() -> None:
    """A package of Nix's runs a Python that knows of no packages by a script that adds them to its path."""
    python = os.path.realpath(getattr(sys, "_base_executable", sys.executable))
    places = [str(Path(nix_repro.__file__).parents[1]), str(Path(msgspec.__file__).parents[1])]
    script = (
        f"import site; [site.addsitedir(place) for place in {places!r}]\n"
        "from nix_repro.verdict.fail_when import Expression, check_syntax\n"
        "check_syntax([Expression('.exit_code == 1', 'here')])"
    )
    done = subprocess.run([python, "-I", "-c", script], capture_output=True, text=True, check=False, env={})
    assert done.returncode == 0, done.stderr
