"""What the run says while it works: N of M, what runs and what is waited for, and nothing that is over."""

from __future__ import annotations

import io
import re
import time
from collections.abc import Sequence

import pytest
from rich.console import Console

from goldens import Terminal
from nix_repro.nix.at_work import AtWork
from nix_repro.nix.log.recorder import Tally, waiting
from nix_repro.output.render import progress as progress_module
from nix_repro.output.render.progress import Progress

HOSTILE = "\x1b[2J\x1b]0;owned\x07\r\n\u202egnp.exe\x9b31m[bold red]x[/] \ud800"


def drv(name: str) -> str:
    return f"/nix/store/0s7wp6kwh43pi7gnr83w0jdlmay227nv-{name}.drv"


class Over(AtWork):
    """A store that shows these builds as over, and counts how often it is asked."""

    def __init__(self, *names: str) -> None:
        self.names = list(map(drv, names))
        self.asked = 0

    def over(self, drv_paths: Sequence[str]) -> list[str]:
        self.asked += 1
        return [path for path in drv_paths if path in self.names]


def frame(progress: Progress, width: int = 80) -> str:
    """What the live display shows now."""
    stream = io.StringIO()
    Console(file=stream, width=width).print(progress._render())
    return stream.getvalue()


def test_a_line_per_phase_where_nobody_watches() -> None:
    stream = io.StringIO()
    with Progress(stream) as progress:
        progress.phase("building [3] derivations")
        progress.warn(f"look {HOSTILE}")
        progress.started("build", "/nix/store/x.drv", time.time())
    lines = stream.getvalue().splitlines()
    assert lines[0] == "nix-repro: building [3] derivations"
    assert lines[1].startswith("warning: look ␛[2J")
    assert "\x1b" not in stream.getvalue()


def test_a_phase_quotes_no_secret() -> None:
    stream = io.StringIO()
    with Progress(stream) as display:
        display.phase("testing: curl https://me:5ecr3t@h?token=5ecr3t")
    assert "testing: curl https://" in stream.getvalue()
    assert "5ecr3t" not in stream.getvalue()


def test_a_heartbeat_says_what_takes_so_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress_module, "HEARTBEAT", 0.01)
    stream = io.StringIO()
    with Progress(stream) as progress:
        progress.phase("building")
        progress.started("build", "/nix/store/0s7wp6kwh43pi7gnr83w0jdlmay227nv-slow.drv", time.time() - 61)
        progress.started("build", "/nix/store/0s7wp6kwh43pi7gnr83w0jdlmay227nv-quick.drv", time.time())
        deadline = time.monotonic() + 20
        while "longest" not in stream.getvalue() and time.monotonic() < deadline:
            time.sleep(0.01)
    # It may have beaten before anything ran.
    beat = next(line for line in stream.getvalue().splitlines() if "longest" in line)
    assert re.fullmatch(r"nix-repro: building: [12] running, longest: slow 6\d s", beat)


def test_a_live_display_where_somebody_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    stream = Terminal()
    with Progress(stream) as progress:
        progress.phase("building")
        for number in range(12):
            progress.started("build", f"/nix/store/0s7wp6kwh43pi7gnr83w0jdlmay227nv-p{number}.drv", time.time())
        progress.stopped("build", "/nix/store/0s7wp6kwh43pi7gnr83w0jdlmay227nv-p0.drv", time.time())
        deadline = time.monotonic() + 20
        while "1 built" not in stream.getvalue() and time.monotonic() < deadline:
            time.sleep(0.05)
    text = stream.getvalue()
    assert "build p1  " in text
    assert "and 3 more" in text


def test_the_display_says_how_many_of_how_many() -> None:
    progress = Progress(io.StringIO())
    progress.phase("building 60 derivations")
    assert frame(progress) == "● building 60 derivations  0 s\n"
    progress.counted("build", Tally(0, 0, 0, 0))
    assert frame(progress) == "● building 60 derivations  0 s\n"
    progress.counted("fetch", Tally(12, 30, 2, 0))
    progress.counted("build", Tally(13, 60, 2, 1))
    assert frame(progress) == "● building 60 derivations  12 of 30 fetched, 12 of 60 built, 1 failed\n"
    progress.phase("rebuilding")
    assert frame(progress) == "● rebuilding  0 s\n"


def test_what_is_over_does_not_run() -> None:
    """Nix 2.8 and 2.26 say only in the end that a build has stopped which was asked for by name."""
    progress, store = Progress(io.StringIO()), Over("a", "c")
    progress.phase("building")
    progress.follow(store)
    for number, name in enumerate("abcd"):
        progress.started("build", drv(name), time.time() - 9 + number)
        progress.counted("build", Tally(0, 4, number + 1, 0))
    assert store.asked == 0, "as long as all of them run there is nothing to look for"
    progress.counted("build", Tally(2, 4, 2, 0))
    assert [line.split()[1] for line in frame(progress).splitlines()[1:]] == ["b", "d"]
    for name in "abcd":
        progress.stopped("build", drv(name), time.time())
    assert frame(progress) == "● building  2 of 4 built\n"


def test_no_more_is_taken_away_than_nix_says_is_over() -> None:
    progress = Progress(io.StringIO())
    progress.follow(Over("a", "b", "c"))
    for name in "abc":
        progress.started("build", drv(name), time.time())
    progress.counted("build", Tally(1, 3, 2, 0))
    assert len(frame(progress).splitlines()) == 3
    progress.follow(None)
    progress.counted("build", Tally(2, 3, 1, 0))
    assert len(frame(progress).splitlines()) == 3, "where nothing can be seen, nobody guesses"


def test_one_after_the_other_is_counted_too() -> None:
    progress = Progress(io.StringIO())
    progress.phase("explaining 3 divergent derivations")
    progress.step("explain", "a", 1, 3)
    progress.step("explain", "b", 2, 3)
    assert frame(progress) == "● explaining 3 divergent derivations  2 of 3\n  explain b  0 s\n"
    progress.finished()
    assert frame(progress) == "● explaining 3 divergent derivations  0 s\n"


def test_who_waits_says_what_for() -> None:
    stream = io.StringIO()
    progress = Progress(stream)
    progress.phase("rebuilding")
    progress.waiting("for another run")
    assert "waiting for another run" in frame(progress)
    progress.started("wait", "waiting for lock on '/nix/store/x'", time.time())
    assert "wait waiting for lock on '/nix/store/x'  0 s" in frame(progress)
    progress.waiting("")
    assert "another" not in frame(progress)
    assert stream.getvalue() == "nix-repro: rebuilding\nnix-repro: waiting for another run\n"


def test_a_short_wait_is_not_worth_a_word() -> None:
    stream = io.StringIO()
    with Progress(stream) as progress:
        progress.phase("evaluating")
        with waiting(progress, "for nothing"):
            assert "waiting" not in frame(progress)
        progress.waiting("for a cache", after=0.02)
        deadline = time.monotonic() + 20
        while "waiting" not in stream.getvalue() and time.monotonic() < deadline:
            time.sleep(0.01)
        assert "waiting for a cache" in frame(progress)
        progress.waiting("for what is over at once", after=0.02)
        progress.waiting("")
        time.sleep(0.05)
    assert stream.getvalue() == "nix-repro: evaluating\nnix-repro: waiting for a cache\n"


def test_a_heartbeat_says_for_how_long_where_nothing_can_be_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress_module, "HEARTBEAT", 0.01)
    stream = io.StringIO()
    with Progress(stream) as progress:
        progress.phase("testing: make check")
        deadline = time.monotonic() + 20
        while "for 0 s" not in stream.getvalue() and time.monotonic() < deadline:
            time.sleep(0.01)
    assert "nix-repro: testing: make check: for 0 s\n" in stream.getvalue()


@pytest.mark.parametrize("columns", [40, 80])
def test_a_live_line_is_one_line_and_shortened_in_the_middle(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    progress = Progress(Terminal())
    progress.phase("building")
    progress.started("build", drv("first-" + "x" * 120 + "-last"), time.time())
    _, line = frame(progress, columns).splitlines()
    assert re.fullmatch(r"  build first-x+…x+-last  0 s", line)
    assert len(line) <= columns


def test_quiet_says_warnings_only() -> None:
    stream = io.StringIO()
    with Progress(stream, quiet=True) as progress:
        progress.phase("building")
        progress.waiting("for something")
        progress.warn("look")
    assert stream.getvalue() == "warning: look\n"


def test_a_dumb_terminal_gets_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    stream = Terminal()
    with Progress(stream) as progress:
        progress.phase("building")
    assert stream.getvalue() == "nix-repro: building\n"


def test_who_was_told_to_stop_says_so() -> None:
    progress = Progress(io.StringIO(), stopped=lambda: True)
    progress.phase("building")
    assert frame(progress).startswith("● stopping")
