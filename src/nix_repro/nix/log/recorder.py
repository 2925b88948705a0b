"""What one Nix command did, gathered from its events as they come. Memory is bounded whatever the log says."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from operator import attrgetter
from sys import getsizeof
from typing import NamedTuple, Protocol

from nix_repro.nix.command import plain
from nix_repro.nix.derivation import Derivation
from nix_repro.nix.log import events, words
from nix_repro.nix.log.statements import Claims, Statements
from nix_repro.nix.log.why import why

#: Last lines of a builder's log that are kept.
LOG_LINES = 100
#: Characters of one of them.
LOG_WIDTH = 500
#: Bytes of logs kept in all; the log of the build that spoke first goes first.
LOGS_TOTAL = 16_000_000
#: Seconds by which a build that ran into a limit may seem shorter than it: events arrive late.
CLOCK_SLACK = 0.5


@dataclass
class Activity:
    """Something that took time. Seconds since the epoch; `stopped` is None while it runs."""

    name: str
    origin: str
    started: float
    stopped: float | None = None

    @property
    def seconds(self) -> float | None:
        """How long it took, to the millisecond; None while it runs."""
        return None if self.stopped is None else round(self.stopped - self.started, 3)


#: Seconds for which nobody needs to know what is waited for.
MOMENT = 1.0


class Tally(NamedTuple):
    """How far commands are: so many of `total` are over, of these so many have `failed`, and so many are `running`."""

    over: int
    total: int
    running: int
    failed: int


class Watcher(Protocol):
    """Is told what happens while it happens: the live display. `counted` is Nix's own count, which is right also where
    it says that something has stopped only in the end. `waiting` gets what is waited for from now on, "" when that is
    over; who need not know of a short wait is told `after` so many seconds of it."""

    def started(self, kind: str, name: str, at: float) -> None: ...
    def stopped(self, kind: str, name: str, at: float) -> None: ...
    def counted(self, kind: str, tally: Tally) -> None: ...
    def waiting(self, text: str, after: float = 0.0) -> None: ...


@contextmanager
def waiting(watcher: Watcher | None, text: str) -> Iterator[None]:
    """Inside, have said what is waited for, once it takes longer than a moment."""
    if watcher is not None:
        watcher.waiting(text, after=MOMENT)
    try:
        yield
    finally:
        if watcher is not None:
            watcher.waiting("")


class Failures(NamedTuple):
    """What commands have failed at, see `Recorder.said` and `Recorder.full_disk`."""

    said: Statements
    full_disk: frozenset[str]


def _nowhere() -> bool:
    return False


@dataclass
class Recorder:
    """Feed it the lines of an internal-json log. Only its own methods change it.

    `builds` and `substitutions` hold every attempt in order. `said` is what Nix said, `full_disk` holds the .drvs whose
    builder spoke of a full disk when `disk_full` found that there was one, `blame` the .drvs that an error which names
    none is found to be about.
    """

    watcher: Watcher | None = None
    clock: Callable[[], float] = time.time
    disk_full: Callable[[], bool] = _nowhere
    builds: list[Activity] = field(default_factory=list)
    checks: list[Activity] = field(default_factory=list)
    substitutions: list[Activity] = field(default_factory=list)
    copies: list[Activity] = field(default_factory=list)
    said: Statements = field(default_factory=Statements)
    full_disk: set[str] = field(default_factory=set)
    blame: dict[str, str] = field(default_factory=dict)
    _running: dict[int, tuple[str, Activity]] = field(default_factory=dict)
    _last_build: dict[str, Activity] = field(default_factory=dict)
    _logs: dict[str, deque[str]] = field(default_factory=dict)
    _logs_size: int = 0
    _real: dict[str, str] = field(default_factory=dict)
    _counting: dict[int, str] = field(default_factory=dict)
    _counts: dict[int, events.Counted] = field(default_factory=dict)
    _resolved: int = 0

    def feed(self, line: bytes) -> None:
        """Take in one line."""
        match events.decode(line):
            case events.BuildStarted(number, drv_path, machine, checking):
                activity = Activity(self._real.setdefault(_base(drv_path), drv_path), machine, self.clock())
                self._start(number, "build", self.checks if checking else self.builds, activity)
                self._forget_log(activity.name)
                if not checking:
                    self._last_build[activity.name] = activity
            case events.SubstituteStarted(number, path, cache):
                self._start(number, "fetch", self.substitutions, Activity(path, cache, self.clock()))
            case events.CopyStarted(number, path, source):
                self._start(number, "copy", self.copies, Activity(path, source, self.clock()))
            case events.Resolved(drv_path, resolved):
                self._real[_base(resolved)] = self._real.get(_base(drv_path), drv_path)
                self._resolved += 1
            case events.Stopped(number):
                self._stop(number)
            case events.LogLine(number, text):
                self._log(number, text)
            case events.Message() as message:
                self.said.take(message, self.known_as)
            case other:
                self._show(other)

    def ended(self) -> None:
        """The command is over: whatever still ran was stopped with it."""
        for number in list(self._running):
            self._stop(number)

    def exited(self, code: int) -> None:
        """The command has ended with this exit code; a negative one is the signal that ended Nix."""
        if code < 0:
            self.said.crashed(-code)

    def failures(self) -> Failures:
        """What commands have failed at so far."""
        return Failures(self.said.copied(), frozenset(self.full_disk))

    def forget_failures(self, before: Failures) -> None:
        """The command will run once more: what it failed at is open again, but not what others did `before`. What was
        built and fetched stays recorded."""
        self.said.forget(before.said)
        self.full_disk = {*before.full_disk}

    def known_as(self, drv_path: str) -> str:
        """Which derivation this is to us: of one whose inputs were filled in, the one before that. With or without its
        directory."""
        return self._real.get(_base(drv_path), drv_path)

    def log(self, drv_path: str) -> str | None:
        """The end of what the builder printed, or None when it printed nothing."""
        lines = self._logs.get(drv_path)
        return "\n".join(lines) if lines else None

    def build_of(self, drv_path: str) -> Activity | None:
        """The last time this derivation's builder was seen at work."""
        return self._last_build.get(drv_path)

    def correct_ends(self, derivations: Iterable[Derivation], touched: Mapping[str, float | None]) -> None:
        """Correct when these derivations' builds ended: before 2.34, Nix says only at the end of the whole command that
        a build has stopped which was asked for by name.

        `touched` says when a derivation's outputs were last changed (seconds since the epoch); a sandbox that links a
        file into itself touches it once more, but by then a build that has it among its inputs has started.
        """
        for drv_path, at in touched.items():
            self._built_until(drv_path, at)
        for drv in derivations:
            if (above := self._last_build.get(drv.drv_path)) is not None:
                for input_drv in drv.input_drvs:
                    self._built_until(input_drv, above.started)

    def building(self) -> bool:
        """Whether a builder may be at work, and so speak."""
        return any(kind == "build" for kind, _ in self._running.values())

    def accuse(self, drv_path: str, words: str) -> None:
        """What Nix said without a name is about this derivation."""
        self.blame[drv_path] = words

    def acquit(self, drv_path: str) -> None:
        """It was not about this derivation after all."""
        self.blame.pop(drv_path, None)

    def _built_until(self, drv_path: str, at: float | None) -> None:
        activity = self._last_build.get(drv_path)
        if activity is not None and at is not None and activity.started <= at <= (activity.stopped or self.clock()):
            activity.stopped = at

    def failure_of(self, drv_path: str, outputs: Iterable[str] = (), *, missing: bool = False) -> str | None:
        """The status that Nix's messages give a derivation, or None when they speak of no failure; "contradicted" when
        what was said in Nix's name cannot all be true. `outputs` are the paths that messages may call it by as well.
        `missing`: they are not there; then who was seen to be built and is said to have failed has failed.

        Nix 2.34 says that a build timed out, but not which: then it was whatever ran as long as the limit.
        """
        said = self.said
        if (named := said.failures.get(drv_path)) is not None:
            return named
        if self._lasted(drv_path, said.limit(certain=True)):
            return "timed-out"
        claims = said.claimed(map(_base, (drv_path, *outputs)))
        if drv_path in said.failed:
            if claims is None or claims.statuses:
                return _only(claims)
            return "timed-out" if self._lasted(drv_path, said.limit(certain=False)) else "failed"
        seen = missing and drv_path in self._last_build and said.orderly()
        return "failed" if seen and _only(claims) == "failed" else None

    def reason_of(self, drv_path: str, outputs: Iterable[str] = ()) -> str:
        """Why a derivation has the status that `failure_of` gives it, in one line, or "" when nothing says so, or when
        Nix's word cannot be told from a builder's."""
        if (own := self.said.reasons.get(drv_path)) is not None:
            return own
        claims = self.said.claimed(map(_base, (drv_path, *outputs)))
        if claims is None or claims.contested:
            return ""
        # What nobody contradicts is Nix's own, since Nix did say something.
        return why(claims.text) or (words.one_line(claims.text) if claims.statuses == {"rejected"} else "")

    def mismatch_of(self, drv_path: str, outputs: Iterable[str] = ()) -> Sequence[words.Mismatch]:
        """The outputs that a check of a derivation found different. What is only said in Nix's name counts when Nix
        says that the derivation failed, and nothing else is said of it."""
        if (own := self.said.mismatches.get(drv_path)) is not None or drv_path not in self.said.failed:
            return own or ()
        claims = self.said.claimed(map(_base, (drv_path, *outputs)))
        return [*claims.differences] if claims is not None and claims.statuses == {"mismatch"} else ()

    def _lasted(self, drv_path: str, limit: int | None) -> bool:
        if limit is None:
            return False
        ended = [a for a in (*self.builds, *self.checks) if a.name == drv_path and a.stopped is not None]
        return bool(ended) and (ended[-1].stopped or 0.0) - ended[-1].started > limit - CLOCK_SLACK

    def _start(self, number: int, kind: str, into: list[Activity], activity: Activity) -> None:
        into.append(activity)
        self._running[number] = (kind, activity)
        if self.watcher is not None:
            self.watcher.started(kind, activity.name, activity.started)

    def _show(self, event: events.Event | None) -> None:
        """Take in what only matters while it happens."""
        match event:
            case events.Waiting(number, text):
                self._start(number, "wait", [], Activity(text, "", self.clock()))
            case events.Counting(number, kind):
                self._counting[number] = kind
            case events.Counted() as counted if counted.id in self._counting:
                self._count(counted)
            case _:
                pass

    def _count(self, counted: events.Counted) -> None:
        """Take in Nix's count. A second command of the same kind goes on where the first one ended."""
        self._counts[counted.id] = counted
        kind = self._counting[counted.id]
        if self.watcher is None:
            return
        parts = [part for number, part in self._counts.items() if self._counting[number] == kind]
        done, running, failed = (sum(map(attrgetter(name), parts)) for name in ("done", "running", "failed"))
        # What has failed is no longer expected.
        total, over = sum(part.expected for part in parts) + failed, done + failed
        if kind == "build":
            # With its inputs filled in, a content-addressed derivation counts once more.
            total -= self._resolved
            over = len(self.builds) + len(self.checks) - running
        # A check that finds a difference has failed to Nix, and has done its work.
        tally = Tally(over, max(total, over + running), running, 0 if self.checks else failed)
        self.watcher.counted(kind, tally)

    def _stop(self, number: int) -> None:
        kind, activity = self._running.pop(number, (None, None))
        if kind is None or activity is None:
            return
        activity.stopped = self.clock()
        if self.watcher is not None:
            self.watcher.stopped(kind, activity.name, activity.stopped)

    def _forget_log(self, drv_path: str) -> None:
        """A builder that starts again tells its own story."""
        self._logs_size -= sum(map(getsizeof, self._logs.pop(drv_path, ())))

    def _log(self, number: int, text: str) -> None:
        _, activity = self._running.get(number, (None, None))
        if activity is not None:
            lines = self._logs.setdefault(activity.name, deque(maxlen=LOG_LINES))
            line = plain(text)[:LOG_WIDTH]
            self._logs_size += getsizeof(line) - (getsizeof(lines[0]) if len(lines) == LOG_LINES else 0)
            lines.append(line)
            while self._logs_size > LOGS_TOTAL and len(self._logs) > 1:
                self._forget_log(next(iter(self._logs)))
            if words.disk_full(text) and self.disk_full():
                self.full_disk.add(activity.name)


def _base(path: str) -> str:
    return path.rpartition("/")[2]


def _only(claims: Claims | None) -> str:
    """What all the claims come to: what Nix did not take from a builder has failed, a mismatch is no failure, and no
    derivation fails in two ways."""
    statuses = claims.statuses if claims is not None else set()
    if len(statuses) != 1 or "mismatch" in statuses:
        return "contradicted"
    [status] = statuses
    return "failed" if status == "rejected" else status
