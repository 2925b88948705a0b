"""diffoscope is bounded, and its absence or failure is an answer. A stand-in shows each way it can end."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from nix_repro.explain.deep import deep_diff, find_diffoscope

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def stand_in(tmp_path: Path) -> Path:
    """A program that does what its first side says, with $html as the report to write."""
    program = tmp_path / "diffoscope"
    program.write_text('#!/bin/sh\nhtml=$2\nfor last; do :; done\n. "$last"\n')
    program.chmod(0o755)
    return program


def run(stand_in: Path, does: str, **limits: float) -> tuple[bool, bool, str | None]:
    script = stand_in.with_name("b")
    script.write_text(does)
    result = deep_diff(str(stand_in), stand_in.with_name("a"), script, stand_in.with_name("out.html"), **limits)  # type: ignore[arg-type]
    return result.html is not None, result.truncated, result.reason


def test_a_report(stand_in: Path) -> None:
    assert run(stand_in, 'echo "<html>" > $html; exit 1') == (True, False, None)


def test_a_failure_is_said(stand_in: Path) -> None:
    assert run(stand_in, "exit 2") == (False, False, "diffoscope ended with status 2 and wrote no report")


def test_a_report_of_an_earlier_run_is_not_mistaken_for_this_one(stand_in: Path) -> None:
    stand_in.with_name("out.html").write_text("old")
    assert run(stand_in, "exit 2")[0] is False


def test_it_is_stopped_with_all_its_helpers(stand_in: Path) -> None:
    mark = stand_in.with_name("mark")
    made, truncated, reason = run(stand_in, f"(sleep 3; echo late > {mark}) & sleep 60", seconds=1)
    assert (made, truncated, reason) == (False, True, "diffoscope was stopped after 1 s")
    time.sleep(3)
    assert not mark.exists()


def test_memory_is_limited(stand_in: Path) -> None:
    took = "python3 -c 'bytearray(900 << 20)' && echo x > $html; exit 1"
    assert run(stand_in, took)[0] is True
    assert run(stand_in, took, memory=400 << 20)[0] is False


def test_truncation_is_said(stand_in: Path) -> None:
    does = 'echo "<p>Max HTML report size reached</p>" > $html; exit 1'
    assert run(stand_in, does) == (True, True, "diffoscope's report reached its size limit")


def test_choice_of_program(stand_in: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(stand_in.parent))
    assert find_diffoscope("auto") == str(stand_in)
    assert find_diffoscope("never") is None
    assert find_diffoscope(str(stand_in)) == str(stand_in)
    monkeypatch.setenv("PATH", "/nowhere")
    assert find_diffoscope("auto") is None
