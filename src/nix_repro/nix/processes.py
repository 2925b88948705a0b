"""Children that cannot outlive the run: started in their own group, told to stop when a signal arrives.

Nix stops its builders itself on SIGTERM; after SIGKILL they would run on (measured), so SIGKILL is the last resort.
"""

from __future__ import annotations

import errno
import os
import queue
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import IO, Any

from nix_repro.errors import Interrupted

#: Seconds between asking a child to stop and killing it: builds have to clean up.
GRACE = 20.0
#: The same for an evaluation, which may not react to a signal at all until a primitive operation ends.
SHORT_GRACE = 3.0
#: Seconds after which a wait looks whether a signal has arrived: a sleep goes on after it.
SLICE = 0.1
#: Seconds without a line after which a program is idle.
PAUSE = 0.25
#: Lines that are read before they are wanted.
AHEAD = 1000


class CannotStart(OSError):
    """The program is not there, not to be executed, for another kind of machine; or its arguments are none."""


class Processes:
    """Starts children and remembers the living ones, so that one signal ends them all."""

    def __init__(self) -> None:
        self.signum: int | None = None
        self._children: dict[int, tuple[subprocess.Popen[bytes], float]] = {}
        self._shielded = False

    @contextmanager
    def handling_signals(self) -> Iterator[None]:
        """Inside, SIGINT, SIGTERM and SIGHUP stop the children and make every later call raise `Interrupted`."""
        before = {s: signal.signal(s, self._stop) for s in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
        try:
            yield
        finally:
            for signum, handler in before.items():
                signal.signal(signum, handler)

    @contextmanager
    def shielded(self) -> Iterator[None]:
        """For work that must be finished, such as restoring the store or observing what was built. A signal that
        arrives meanwhile takes effect with the first call afterwards."""
        before, self._shielded = self._shielded, True
        try:
            yield
        finally:
            self._shielded = before

    def stopped(self) -> bool:
        """Whether a signal has arrived."""
        return self.signum is not None

    def _stop(self, signum: int, _frame: FrameType | None) -> None:
        self.signum = self.signum or signum
        if self._shielded:
            return
        for child, grace in list(self._children.values()):
            self._terminate(child, grace)

    def _terminate(self, child: subprocess.Popen[bytes], grace: float) -> None:
        # We may not signal a helper under sudo; it stops when its standard input ends.
        if child.stdin is not None and not child.stdin.closed:
            # Not close(): the signal may have arrived in the middle of a write, whose rest must go somewhere.
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, child.stdin.fileno(), inheritable=False)
            os.close(nowhere)
        _signal_group(child, signal.SIGTERM)
        timer = threading.Timer(grace, _signal_group, (child, signal.SIGKILL))
        timer.daemon = True
        timer.start()

    @contextmanager
    def child(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str],
        cwd: Path | None = None,
        stdin: int | IO[bytes] = subprocess.DEVNULL,
        stdout: int | IO[bytes] = subprocess.PIPE,
        stderr: int | IO[bytes] = subprocess.PIPE,
        terminal: bool = False,
        grace: float = GRACE,
    ) -> Iterator[subprocess.Popen[bytes]]:
        """A running child, which is stopped if the block ends with an exception. With `terminal` it keeps our terminal,
        so that sudo can remember its permission, but in a process group of its own, so that Ctrl-C reaches only us.
        Otherwise it has none.

        Raises `Interrupted` at the start or at the end if a signal has arrived before, `CannotStart` if there is no
        child.
        """
        self.check()
        group: dict[str, Any] = {"process_group": 0} if terminal else {"start_new_session": True}
        child = _start(argv, env=dict(env), cwd=cwd, stdin=stdin, stdout=stdout, stderr=stderr, **group)
        self._children[child.pid] = child, grace
        try:
            # The signal may have come between the check and the registration.
            if self.signum is not None and not self._shielded:
                self._terminate(child, grace)
            yield child
            child.wait()
        except BaseException:
            self._terminate(child, grace)
            child.wait()
            raise
        finally:
            del self._children[child.pid]
            for pipe in (child.stdin, child.stdout, child.stderr):
                if pipe is not None and not pipe.closed:
                    try:
                        pipe.close()
                    except BrokenPipeError:
                        pass
        self.check()

    def check(self) -> None:
        """Raise `Interrupted` if a signal has arrived."""
        if self.signum is not None and not self._shielded:
            raise Interrupted(self.signum)

    def pause(self, seconds: float) -> None:
        """Wait, by a clock that nobody sets. Raises `Interrupted` as soon as a signal arrives."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.check()
            time.sleep(min(left, SLICE))
        self.check()

    def communicate(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str],
        cwd: Path | None = None,
        stdin: bytes | None = None,
        idle: Callable[[], None] | None = None,
    ) -> subprocess.CompletedProcess[bytes]:
        """Run a program to its end and capture standard output and standard error. `idle` is called again and again
        meanwhile."""
        pipe = subprocess.DEVNULL if stdin is None else subprocess.PIPE
        with self.child(argv, env=env, cwd=cwd, stdin=pipe, grace=SHORT_GRACE) as child:
            out, err = _communicate(child, stdin, idle)
        return subprocess.CompletedProcess(list(argv), child.returncode, out, err)

    def lines(
        self,
        argv: Sequence[str],
        on_line: Callable[[bytes], None],
        *,
        env: Mapping[str, str],
        cwd: Path | None = None,
        stdin: bytes | None = None,
        terminal: bool = False,
        idle: Callable[[], None] | None = None,
        grace: float = GRACE,
    ) -> subprocess.CompletedProcess[bytes]:
        """Run a program to its end. Each line of standard error goes to `on_line` as it arrives, and standard output is
        captured. `idle` is called again and again while no line comes.

        Standard input stays open after `stdin` was written, because the child may take its end for a request to stop.
        """
        pipe = subprocess.DEVNULL if stdin is None else subprocess.PIPE
        with self.child(argv, env=env, cwd=cwd, stdin=pipe, terminal=terminal, grace=grace) as child:
            assert child.stdout is not None
            assert child.stderr is not None
            chunks: list[bytes] = []
            stdout = child.stdout
            reader = threading.Thread(target=lambda: chunks.append(stdout.read()), daemon=True)
            reader.start()
            if stdin is not None and child.stdin is not None:
                try:
                    child.stdin.write(stdin)
                    child.stdin.flush()
                except BrokenPipeError:
                    pass  # the child is gone: its exit code says the rest
            lines = bounded_lines(child.stderr)
            for line in lines if idle is None else _with_pauses(lines, idle):
                on_line(line)
            reader.join()
        return subprocess.CompletedProcess(list(argv), child.returncode, b"".join(chunks), b"")


def _communicate(
    child: subprocess.Popen[bytes], stdin: bytes | None, idle: Callable[[], None] | None
) -> tuple[bytes, bytes]:
    while True:
        try:
            return child.communicate(stdin, timeout=PAUSE if idle is not None else None)
        except subprocess.TimeoutExpired:
            stdin = None
            if idle is not None:
                idle()


def bounded_lines(stream: IO[bytes], limit: int = 1 << 20) -> Iterator[bytes]:
    """Lines without their ends; one longer than `limit` bytes is cut, so that no log can fill the memory."""
    while line := stream.readline(limit):
        if not line.endswith(b"\n") and len(line) == limit:
            while (rest := stream.readline(limit)) and not rest.endswith(b"\n"):
                pass
        yield line.rstrip(b"\r\n")


def _with_pauses(lines: Iterator[bytes], idle: Callable[[], None]) -> Iterator[bytes]:
    """The lines as they come; `idle` is called whenever there has been none for a moment."""
    # Not more than some, or a program that prints faster than we read would fill the memory.
    arrived: queue.Queue[bytes | None] = queue.Queue(AHEAD)
    over = threading.Event()

    def put(line: bytes | None) -> None:
        while not over.is_set():
            with suppress(queue.Full):
                arrived.put(line, timeout=PAUSE)
                return

    def read() -> None:
        # The pipe is closed when nobody wants to read on.
        with suppress(OSError, ValueError):
            for line in lines:
                put(line)
        put(None)

    threading.Thread(target=read, daemon=True).start()
    try:
        while True:
            try:
                line = arrived.get(timeout=PAUSE)
            except queue.Empty:
                idle()
                continue
            if line is None:
                return
            yield line
    finally:
        over.set()


def _start(argv: Sequence[str], **how: Any) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(list(argv), **how)
    except OSError as error:
        raise CannotStart(error.errno, error.strerror, error.filename or argv[0]) from None
    except ValueError as error:
        # A zero byte in an argument, or half a character.
        raise CannotStart(errno.EINVAL, str(error), argv[0]) from None


def _signal_group(child: subprocess.Popen[bytes], signum: int) -> None:
    if child.poll() is None:
        try:
            os.killpg(child.pid, signum)
        except (ProcessLookupError, PermissionError):
            pass
