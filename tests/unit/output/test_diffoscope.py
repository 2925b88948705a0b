"""diffoscope is bounded, and its absence or failure is an answer. A stand-in shows each way it can end."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from nix_repro.output.diffoscope import deep_diff, find_diffoscope


@pytest.fixture
def stand_in(tmp_path: Path) -> Path:
    """A program that does what its first side says, with $html as the report to write."""
    program = tmp_path / "diffoscope"
    program.write_text('#!/bin/sh\nhtml=$2\nfor last; do :; done\n. "$last"\n')
    program.chmod(0o755)
    return program


def run(stand_in: Path, does: str, **limits: float) -> tuple[bool, str | None]:
    script = stand_in.with_name("b")
    script.write_text(does)
    result = deep_diff(str(stand_in), stand_in.with_name("a"), script, stand_in.with_name("out.html"), **limits)  # type: ignore[arg-type]
    return result.html is not None, result.reason


def test_a_report(stand_in: Path) -> None:
    assert run(stand_in, 'echo "<html>" > $html; exit 1') == (True, None)


def test_a_failure_is_said(stand_in: Path) -> None:
    assert run(stand_in, "exit 2") == (False, "diffoscope ended with status 2 and wrote no report")


def test_a_report_of_an_earlier_run_is_not_mistaken_for_this_one(stand_in: Path) -> None:
    stand_in.with_name("out.html").write_text("old")
    assert run(stand_in, "exit 2")[0] is False


def test_it_is_stopped_with_all_its_helpers(stand_in: Path) -> None:
    mark = stand_in.with_name("mark")
    made, reason = run(stand_in, f"(sleep 3; echo late > {mark}) & sleep 60", seconds=1)
    assert (made, reason) == (False, "diffoscope was stopped after 1 s")
    time.sleep(3)
    assert not mark.exists()


def test_memory_is_limited(stand_in: Path) -> None:
    took = "python3 -c 'bytearray(900 << 20)' && echo x > $html; exit 1"
    assert run(stand_in, took)[0] is True
    assert run(stand_in, took, memory=400 << 20)[0] is False


def test_truncation_is_said(stand_in: Path) -> None:
    does = 'echo "<p>Max HTML report size reached</p>" > $html; exit 1'
    assert run(stand_in, does) == (True, "diffoscope's report reached its size limit")


def test_a_page_without_end_is_thrown_away(stand_in: Path) -> None:
    assert run(stand_in, "head -c 30000000 /dev/urandom > $html; exit 1") == (
        False,
        "diffoscope's report was larger than 5 MiB",
    )
    assert not stand_in.with_name("out.html").exists()


def test_what_it_prints_is_nobodys(stand_in: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(
        stand_in, 'head -c 3000000 /dev/urandom; head -c 3000000 /dev/urandom >&2; echo "<html>" > $html; exit 1'
    ) == (True, None)
    assert capfd.readouterr() == ("", "")


def test_a_link_is_no_page(stand_in: Path) -> None:
    assert run(stand_in, "ln -s /etc/passwd $html; exit 1")[0] is False
    assert not stand_in.with_name("out.html").is_symlink()


def test_it_is_stopped_when_the_run_is(stand_in: Path) -> None:
    script = stand_in.with_name("b")
    script.write_text("sleep 60")
    assert deep_diff(str(stand_in), script, script, stand_in.with_name("out.html"), stopped=lambda: True).html is None


def test_it_sees_no_secrets_and_leaves_nothing_behind(stand_in: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_TOKEN", "secret")
    monkeypatch.setenv("HOME", "/root/of/somebody")
    assert run(stand_in, "env > $html; touch $TMPDIR/left; pwd >> $html; exit 1") == (True, None)
    seen = stand_in.with_name("out.html").read_text()
    assert "secret" not in seen
    assert "somebody" not in seen
    (room,) = {line.partition("=")[2] for line in seen.splitlines() if line.startswith(("TMPDIR=", "HOME="))}
    assert room == seen.splitlines()[-1]
    assert not Path(room).exists()


def test_choice_of_program(stand_in: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(stand_in.parent))
    assert find_diffoscope("auto") == str(stand_in)
    assert find_diffoscope("never") is None
    assert find_diffoscope(str(stand_in)) == str(stand_in)
    monkeypatch.setenv("PATH", "/nowhere")
    assert find_diffoscope("auto") is None
