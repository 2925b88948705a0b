"""Children: stopped with the run, bounded in what they say, finished where they must be."""

from __future__ import annotations

import functools
import io
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from nix_repro.errors import Interrupted
from nix_repro.nix import processes
from nix_repro.nix.processes import Processes, bounded_lines

ENV = {"PATH": os.environ["PATH"]}
PYTHON = [sys.executable, "-I", "-u", "-c"]


@contextmanager
def signalled_when(ready: Path, signum: int = signal.SIGTERM) -> Iterator[None]:
    """Send this process a signal as soon as a child says, by making a file, that it is there."""

    def wait() -> None:
        deadline = time.monotonic() + 30
        while not ready.exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        os.kill(os.getpid(), signum)

    thread = threading.Thread(target=wait)
    thread.start()
    yield
    thread.join()


def alive(pid: int) -> bool:
    """A zombie is not alive."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def gone(pid: int) -> bool:
    deadline = time.monotonic() + 10
    while alive(pid) and time.monotonic() < deadline:
        time.sleep(0.01)
    return not alive(pid)


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_reaches_the_child_and_its_children(tmp_path: Path, signum: int) -> None:
    running = Processes()
    ready = tmp_path / "grandchild"
    script = f"sleep 300 & echo $! > {ready}.new; mv {ready}.new {ready}; wait"
    with running.handling_signals(), signalled_when(ready, signum), pytest.raises(Interrupted) as stop:
        running.communicate(["sh", "-c", script], env=ENV)
    assert stop.value.signum == signum
    assert gone(int(ready.read_text()))


def test_after_a_signal_nothing_is_started(tmp_path: Path) -> None:
    running = Processes()
    with running.handling_signals():
        os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(Interrupted):
            running.communicate(["touch", str(tmp_path / "started")], env=ENV)
    assert not (tmp_path / "started").exists()


def test_the_handlers_are_as_before_afterwards() -> None:
    before = [signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    with Processes().handling_signals():
        assert signal.getsignal(signal.SIGTERM) != before[1]
    assert [signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)] == before


def test_who_does_not_listen_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "SHORT_GRACE", 0.2)
    running = Processes()
    ready = tmp_path / "ready"
    code = (
        f"import os, signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); open({str(ready)!r}, 'w').close(); "
        "time.sleep(300)"
    )
    with running.handling_signals(), signalled_when(ready), pytest.raises(Interrupted):
        running.communicate([*PYTHON, code], env=ENV)


def test_who_cannot_be_signalled_stops_when_its_input_closes(tmp_path: Path) -> None:
    """A helper under sudo."""
    running = Processes()
    ready, ended = tmp_path / "ready", tmp_path / "ended"
    code = (
        "import signal, sys; signal.signal(signal.SIGTERM, signal.SIG_IGN); sys.stdin.readline(); "
        f"open({str(ready)!r}, 'w').close(); "
        f"sys.stdin.read(); open({str(ended)!r}, 'w').close()"
    )
    with running.handling_signals(), signalled_when(ready), pytest.raises(Interrupted):
        running.lines([*PYTHON, code], lambda _line: None, env=ENV, stdin=b"question\n")
    assert ended.exists()


@pytest.mark.parametrize("streaming", [False, True])
def test_a_signal_while_a_large_question_is_being_asked(tmp_path: Path, streaming: bool) -> None:
    """The child never reads: the write hangs in a full pipe."""
    running = Processes()
    ready = tmp_path / "ready"
    argv, question = ["sh", "-c", f"touch {ready}; sleep 300"], b"x" * 1_000_000
    ask = functools.partial(running.lines, on_line=lambda _line: None) if streaming else running.communicate
    with running.handling_signals(), signalled_when(ready), pytest.raises(Interrupted):
        ask(argv, env=ENV, stdin=question)


def test_shielded_work_is_finished_and_the_signal_counts_afterwards(tmp_path: Path) -> None:
    running = Processes()
    ready = tmp_path / "ready"
    with running.handling_signals(), signalled_when(ready):
        with running.shielded():
            done = running.communicate(["sh", "-c", f"touch {ready}; sleep 0.3; echo finished"], env=ENV)
            again = running.communicate(["echo", "another"], env=ENV)
        assert (done.stdout, again.stdout) == (b"finished\n", b"another\n")
        with pytest.raises(Interrupted):
            running.check()


def test_shields_can_be_nested() -> None:
    running = Processes()
    running.signum = signal.SIGTERM
    with running.shielded():
        with running.shielded():
            running.check()
        running.check()
    with pytest.raises(Interrupted):
        running.check()


def test_a_child_does_not_outlive_an_exception() -> None:
    running = Processes()
    seen: list[int] = []

    def fail(line: bytes) -> None:
        seen.append(int(line))
        raise RuntimeError("the reader broke")

    with pytest.raises(RuntimeError, match="the reader broke"):
        running.lines(["sh", "-c", "echo $$ >&2; sleep 300"], fail, env=ENV)
    assert gone(seen[0])


def test_lines_come_while_the_child_runs_and_output_is_kept_apart(tmp_path: Path) -> None:
    go = tmp_path / "go"
    heard: list[bytes] = []

    def on_line(line: bytes) -> None:
        heard.append(line)
        go.touch()

    script = f"echo first >&2; while [ ! -e {go} ]; do sleep 0.01; done; echo second >&2; echo out; exit 3"
    done = Processes().lines(["sh", "-c", script], on_line, env=ENV)
    assert heard == [b"first", b"second"]
    assert (done.stdout, done.returncode) == (b"out\n", 3)


def test_much_in_both_directions_does_not_hang() -> None:
    size = 3_000_000
    code = "import sys; data = sys.stdin.buffer.read(); sys.stderr.buffer.write(data); sys.stdout.buffer.write(data)"
    done = Processes().communicate([*PYTHON, code], env=ENV, stdin=b"x" * size)
    assert (len(done.stdout), len(done.stderr)) == (size, size)
    lines: list[bytes] = []
    code = "import sys; sys.stdout.write('x' * 3_000_000); sys.stdout.flush(); sys.stderr.write('y\\n' * 100_000)"
    streamed = Processes().lines([*PYTHON, code], lines.append, env=ENV)
    assert (len(streamed.stdout), len(lines)) == (size, 100_000)


def test_the_environment_is_what_was_given_and_nothing_else() -> None:
    said = Processes().communicate(["env"], env={"PATH": ENV["PATH"], "ONLY": "this"}).stdout.decode().splitlines()
    assert sorted(line.partition("=")[0] for line in said if not line.startswith(("_=", "PWD=", "SHLVL="))) == [
        "ONLY",
        "PATH",
    ]


def test_a_terminal_s_interrupt_does_not_reach_children_directly() -> None:
    group = Processes().communicate([*PYTHON, "import os; print(os.getpgrp())"], env=ENV).stdout
    assert int(group) != os.getpgrp()


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", []),
        (b"a\nb\n", [b"a", b"b"]),
        (b"a\r\nb", [b"a", b"b"]),
        (b"\n\n", [b"", b""]),
        (b"12345678\nb\n", [b"12345678", b"b"]),
        (b"123456789\nb\n", [b"12345678", b"b"]),
        (b"x" * 100 + b"\nb\n", [b"xxxxxxxx", b"b"]),
        (b"x" * 100, [b"xxxxxxxx"]),
        (b"1234567\nb\n", [b"1234567", b"b"]),
    ],
)
def test_lines_are_cut_at_the_limit(content: bytes, expected: list[bytes]) -> None:
    assert list(bounded_lines(io.BytesIO(content), 8)) == expected
