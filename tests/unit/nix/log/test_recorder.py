"""What a whole run comes to, from logs that the three versions of Nix really wrote (recorded/record.py)."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from nix_repro.nix.derivation import Derivation
from nix_repro.nix.log.recorder import LOG_LINES, LOG_WIDTH, Recorder, Tally
from nix_repro.nix.log.statements import CLAIMS, MESSAGES
from nix_repro.nix.log.words import Mismatch

RECORDED = Path(__file__).parents[1] / "recorded"
EVERY = pytest.mark.parametrize("series", ["2.8", "2.26", "2.34"])


class Clock:
    """A second passes with every event that asks for the time."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 1.0
        return self.now


def replay(series: str, name: str, *, full: bool = False) -> Recorder:
    recorder = Recorder(clock=Clock(), disk_full=lambda: full)
    for line in (RECORDED / series / f"{name}.log").read_bytes().splitlines():
        recorder.feed(line)
    return recorder


def short(path: str) -> str:
    return Path(path).name[33:].removesuffix(".drv")


@EVERY
def test_success(series: str) -> None:
    recorder = replay(series, "success")
    built = [short(activity.name) for activity in recorder.builds]
    assert sorted(built) == ["a", "above", "b", "fixed", "floating", "top"]
    assert built.index("a") < built.index("b") < built.index("top")
    assert all(a.stopped is not None and a.stopped > a.started and a.origin == "" for a in recorder.builds)
    said = recorder.said
    assert (said.failures, said.mismatches, list(said.errors), recorder.full_disk) == ({}, {}, [], set())
    assert recorder.log(path_of(recorder, "top")) == "building top"
    assert recorder.log(path_of(recorder, "floating")) is None


@EVERY
def test_builds_above_content_addressed_ones_keep_the_name_they_were_asked_by(series: str) -> None:
    """Nix builds a resolved derivation, whose path is another one."""
    names = {drv["name"] if "name" in drv else short(path): path for path, drv in shown(series).items()}
    recorder = replay(series, "success")
    assert path_of(recorder, "above").endswith(names["above"].rsplit("/", 1)[-1])
    assert path_of(recorder, "top").endswith(names["top"].rsplit("/", 1)[-1])


@EVERY
def test_failures(series: str) -> None:
    recorder = replay(series, "failure", full=True)
    failed = {short(path): status for path, status in recorder.said.failures.items()}
    assert failed == {"breaks": "failed", "full": "failed", "victim": "dependency-failed"}
    assert recorder.log(path_of(recorder, "breaks")) == "about to fail", (
        "what a builder prints is a log line, never an event"
    )
    assert [short(path) for path in recorder.full_disk] == ["full"]
    assert not replay(series, "failure").full_disk, "what a builder says of the disk is measured"
    assert recorder.failure_of(path_of(recorder, "random")) is None
    assert not recorder.said.unexplained


@EVERY
@pytest.mark.parametrize("name", ["timeout", "silent", "timeouts"])
def test_timeouts(series: str, name: str) -> None:
    """Nix 2.34 says that something timed out, and not what."""
    recorder = replay(series, name)
    assert recorder.failure_of(path_of(recorder, "slow")) == "timed-out"
    if name == "timeouts":
        assert recorder.failure_of(path_of(recorder, "breaks")) == "failed"
        above = next(path for path in recorder.said.failures if short(path) == "above-slow")
        assert recorder.failure_of(above) == "dependency-failed"


def test_a_nameless_timeout_is_nobody_s_who_was_quicker() -> None:
    now = 0.0
    recorder = Recorder(clock=lambda: now)
    for number, seconds in (("1", 2.0), ("2", 9.9)):
        now = 0.0
        recorder.feed(event(action="start", id=int(number), type=105, fields=[f"/nix/store/{number}.drv", "", 1, 1]))
        now = seconds
        recorder.feed(event(action="stop", id=int(number)))
    recorder.feed(own("error: timed out after 10 seconds"))
    recorder.feed(own("error: build of '/nix/store/1.drv', '/nix/store/2.drv' failed"))
    assert recorder.failure_of("/nix/store/1.drv") == "failed"
    assert recorder.failure_of("/nix/store/2.drv") == "timed-out"
    assert recorder.failure_of("/nix/store/3.drv") is None


def drv(name: str, *inputs: str) -> Derivation:
    return Derivation(f"/nix/store/{name}.drv", name, "x", "sh", (), {}, {}, dict.fromkeys(inputs, ("out",)), ())


def test_ends_are_corrected_by_what_the_store_and_the_builds_above_say() -> None:
    """Old versions say of what was asked for by name only at the end of the command that it has stopped."""
    now = 0.0
    recorder = Recorder(clock=lambda: now)
    names = ("low", "high", "last")
    for number, name in enumerate(names):
        now = 10.0 * number
        path = f"/nix/store/{name}.drv"
        recorder.feed(event(action="start", id=number, type=105, fields=[path, "", 1, 1]))
    now = 90.0
    recorder.ended()
    graph = [drv("low"), drv("high", "/nix/store/low.drv"), drv("last")]
    recorder.correct_ends(graph, {"/nix/store/low.drv": 25.0, "/nix/store/high.drv": 30.0, "/nix/store/last.drv": 5.0})
    # What is built from it had started at 10. A time before its own start says nothing about the last one.
    assert {a.name[11:-4]: a.stopped for a in recorder.builds} == {"low": 10.0, "high": 30.0, "last": 90.0}


@EVERY
def test_wrong_hash(series: str) -> None:
    recorder = replay(series, "wrong-hash")
    assert {short(path): status for path, status in recorder.said.failures.items()} == {"wrong": "failed"}


@EVERY
def test_mismatch(series: str) -> None:
    recorder = replay(series, "mismatch")
    assert [short(a.name) for a in recorder.checks] == ["random", "b"]
    assert recorder.builds == []
    [(drv_path, [(output, other)])] = recorder.said.mismatches.items()
    assert (short(drv_path), short(output), other) == ("random", "random-extra", f"{output}.check")
    assert recorder.said.failures == {}
    assert not recorder.said.unexplained


@EVERY
def test_substitution(series: str) -> None:
    recorder = replay(series, "substitution")
    assert recorder.builds == []
    assert sorted(short(a.name) for a in recorder.substitutions) == ["a", "a-dev", "b"]
    assert {a.origin for a in recorder.substitutions} == {"file:///box/cache"}
    assert all(a.stopped is not None for a in recorder.substitutions)
    assert sorted(short(a.name) for a in recorder.copies) == ["a", "a-dev", "b"]


def test_a_path_that_the_first_cache_fails_to_deliver_is_two_substitutions() -> None:
    recorder = Recorder(clock=Clock())
    for number, cache in enumerate(("https://a", "https://b")):
        recorder.feed(event(action="start", id=number, type=108, fields=["/nix/store/x-y", cache]))
        recorder.feed(event(action="stop", id=number))
    assert [a.origin for a in recorder.substitutions] == ["https://a", "https://b"]


A, B, TOP = (f"/nix/store/{letter * 32}-{letter}.drv" for letter in "abc")
FAILED, DEPENDENCY = (
    "error: builder for '{}' failed with exit code 1",
    "error: 1 dependencies of derivation '{}' failed",
)
TIMED_OUT = "error: building of '{}^*' from .drv file timed out after 1 seconds"
DIFFERS = "error: derivation '{0}' may not be deterministic: output '{0}-out' differs from '{0}-out.check'"
LAST = f"error: build of '{A}', '{B}' failed"


def heard(*lines: bytes, built: tuple[str, ...] = (A, B)) -> Recorder:
    """What comes of a log in which these were built and this was said."""
    recorder = Recorder(clock=Clock())
    for number, path in enumerate(built):
        recorder.feed(event(action="start", id=number, type=105, fields=[path, "", 1, 1]))
        recorder.feed(event(action="stop", id=number))
    for line in lines:
        recorder.feed(line)
    return recorder


def claim(text: str) -> bytes:
    """A builder says so in Nix's name, or a daemon in Nix's."""
    return event(action="msg", level=0, msg=text)


@pytest.mark.parametrize("text", [FAILED, DEPENDENCY, TIMED_OUT, DIFFERS, "error: timed out after 0 seconds", LAST])
def test_what_a_builder_says_in_nix_s_name_is_nothing(text: str) -> None:
    recorder = heard(claim(text.format(A)), own(FAILED.format(B)))
    assert recorder.failure_of(A) is None
    assert recorder.mismatch_of(A) == ()
    assert recorder.failure_of(B) == "failed"
    assert (list(recorder.said.unexplained), len(recorder.said.errors)) == ([], 1)


@pytest.mark.parametrize("text", [DEPENDENCY, TIMED_OUT, DIFFERS, "error: timed out after 0 seconds"])
def test_what_nix_says_itself_stands_whatever_else_is_said(text: str) -> None:
    recorder = heard(claim(text.format(A)), own(FAILED.format(A)), claim(text.format(A)))
    assert recorder.failure_of(A) == "failed"
    recorder = heard(claim(text.format(A)), claim(FAILED.format(A)), own(DIFFERS.format(A)))
    assert recorder.mismatch_of(A) == (Mismatch(f"{A}-out", f"{A}-out.check"),)


@pytest.mark.parametrize(
    ("claims", "status"),
    [
        ((), "failed"),
        ((FAILED,), "failed"),
        ((DEPENDENCY,), "dependency-failed"),
        ((TIMED_OUT,), "timed-out"),
        (("error: cycle detected in build of '{}'",), "failed"),
        (("error: timed out after 1 seconds",), "timed-out"),
        (("error: timed out after 9 seconds",), "failed"),
        # The truth is among them, and which it is nobody knows.
        ((FAILED, TIMED_OUT), "contradicted"),
        (("error: cycle detected in build of '{}'", TIMED_OUT), "contradicted"),
        ((FAILED, DIFFERS), "contradicted"),
        ((DIFFERS,), "contradicted"),
    ],
)
def test_through_a_daemon_claims_are_believed_that_nothing_contradicts(claims: tuple[str, ...], status: str) -> None:
    """Of what has failed by the last word on the command, which is Nix's own."""
    said = [claim(text.format(A)) for text in claims]
    assert heard(*said, own(LAST)).failure_of(A) == status
    assert heard(*said, own(f"error: build of '{B}', '{TOP}' failed")).failure_of(A) is None
    assert heard(*said).failure_of(A) is None, "the command may not even have failed"


def test_an_output_s_name_is_one_of_the_derivation() -> None:
    out = "/nix/store/dddddddddddddddddddddddddddddddd-out"
    refers = claim(f"error: output '{out}' is not allowed to refer to the following paths: /nix/store/x")
    recorder = heard(refers, claim(TIMED_OUT.format(A)), own(LAST))
    assert recorder.failure_of(A, [out]) == "contradicted"
    assert heard(refers, own(LAST)).failure_of(A, [out]) == "failed"


def test_a_difference_that_a_daemon_tells_of() -> None:
    said = (claim(DIFFERS.format(A)), own(LAST))
    assert heard(*said).mismatch_of(A) == [Mismatch(f"{A}-out", f"{A}-out.check")]
    assert heard(*said, claim(FAILED.format(A))).mismatch_of(A) == ()


def test_what_is_not_there_and_is_said_to_have_failed_has_failed() -> None:
    """A dependency that was not asked for by itself; through a daemon, the last word names what is above it only."""
    said = (claim(FAILED.format(A)), own(DEPENDENCY.format(TOP)))
    assert heard(*said).failure_of(A) is None
    assert heard(*said).failure_of(A, missing=True) == "failed"
    assert heard(*said, built=()).failure_of(A, missing=True) is None, "nobody saw that it was built"
    assert heard(claim(TIMED_OUT.format(A)), *said).failure_of(A, missing=True) is None
    assert heard(*said, own("error: unexpected end-of-file")).failure_of(A, missing=True) is None


def test_in_a_flood_of_claims_the_truth_may_drown() -> None:
    flood = (claim(f"error: {TIMED_OUT.format(A)} {number}") for number in range(CLAIMS + 1))
    recorder = heard(*flood, claim(FAILED.format(A)), own(LAST))
    assert len(recorder.said.claims) <= CLAIMS
    assert recorder.failure_of(A) == recorder.failure_of(B) == "contradicted"


def test_a_name_without_its_directory_is_that_of_what_was_built() -> None:
    """As Lix says it."""
    said = f"error: derivation '{A.rpartition('/')[2]}' may not be deterministic: outputs differ\n  output '/x' differs"
    assert heard(own(said)).mismatch_of(A) == (Mismatch("/x", None),)


def test_a_crash_is_an_error_that_nobody_explains_with_libc_s_last_words() -> None:
    recorder = heard(b"nix-store: build.cc:7: Assertion `x' failed.")
    recorder.exited(0)
    assert not recorder.said.unexplained
    recorder.exited(-6)
    assert list(recorder.said.errors) == ["error: Nix crashed (signal 6): nix-store: build.cc:7: Assertion `x' failed."]
    assert recorder.said.unexplained == recorder.said.errors


def test_logs_are_bounded() -> None:
    recorder = Recorder(clock=Clock())
    recorder.feed(event(action="start", id=1, type=105, fields=["/nix/store/x.drv", "", 1, 1]))
    for number in range(LOG_LINES * 3):
        recorder.feed(event(action="result", id=1, type=101, fields=[f"{number} " + "x" * LOG_WIDTH * 2]))
    log = recorder.log("/nix/store/x.drv")
    assert log is not None
    lines = log.split("\n")
    assert len(lines) == LOG_LINES
    assert lines[-1].startswith(f"{LOG_LINES * 3 - 1} x")
    assert {len(line) for line in lines} == {LOG_WIDTH}


def test_the_log_is_that_of_the_last_attempt_without_colours() -> None:
    """Nix starts again what was under way when it gave up over something else."""
    recorder = Recorder()
    for number in (1, 2):
        recorder.feed(event(action="start", id=number, type=105, fields=["/nix/store/x.drv", "", 1, 1]))
        recorder.feed(event(action="result", id=number, type=101, fields=[f"\x1b[31;1merror:\x1b[0m {number}"]))
        recorder.feed(event(action="stop", id=number))
    assert recorder.log("/nix/store/x.drv") == "error: 2"
    recorder.feed(event(action="start", id=3, type=105, fields=["/nix/store/x.drv", "", 1, 1]))
    assert recorder.log("/nix/store/x.drv") is None


def test_messages_are_bounded() -> None:
    recorder = Recorder()
    for number in range(MESSAGES + 5):
        recorder.feed(own(f"error: {number}"))
        recorder.feed(event(action="msg", level=1, msg=f"warning: {number}"))
    said = recorder.said
    assert len(said.errors) == len(said.warnings) == len(said.unexplained) == MESSAGES
    assert said.errors[-1] == f"error: {MESSAGES + 4}"


def test_lines_of_unknown_activities_and_stops_of_unstarted_ones_do_nothing() -> None:
    recorder = Recorder()
    recorder.feed(event(action="result", id=5, type=101, fields=["whose?"]))
    recorder.feed(event(action="stop", id=5))
    assert recorder == Recorder(clock=recorder.clock)


def test_the_watcher_hears_of_every_activity_once() -> None:
    heard: list[tuple[str, str, str, float]] = []

    class Watcher:
        def started(self, kind: str, name: str, at: float) -> None:
            heard.append(("started", kind, short(name), at))

        def stopped(self, kind: str, name: str, at: float) -> None:
            heard.append(("stopped", kind, short(name), at))

        def counted(self, kind: str, tally: Tally) -> None: ...
        def waiting(self, text: str, after: float = 0.0) -> None: ...

    recorder = Recorder(watcher=Watcher())
    for line in (RECORDED / "2.34/success.log").read_bytes().splitlines():
        recorder.feed(line)
    assert len(heard) == 12
    assert len({(what, kind, name) for what, kind, name, _ in heard}) == 12
    assert [at for *_, at in heard] == sorted(at for *_, at in heard)


class Counter:
    """Remembers the last count of each kind, and who waits."""

    def __init__(self) -> None:
        self.counts: dict[str, Tally] = {}
        self.waits: list[str] = []

    def started(self, kind: str, name: str, _at: float) -> None:
        self.waits += [name] if kind == "wait" else []

    def stopped(self, kind: str, name: str, _at: float) -> None:
        if kind == "wait":
            self.waits.remove(name)

    def counted(self, kind: str, tally: Tally) -> None:
        self.counts[kind] = tally

    def waiting(self, text: str, after: float = 0.0) -> None: ...


def counts(number: int, *fields: object) -> bytes:
    return event(action="result", id=number, type=105, fields=[*fields])


@pytest.mark.parametrize("series", ["2.8", "2.26", "2.34"])
def test_nix_counts_what_it_builds_from_the_beginning_to_the_end(series: str) -> None:
    watcher = Counter()
    recorder = Recorder(watcher=watcher)
    for line in (RECORDED / f"{series}/success.log").read_bytes().splitlines():
        recorder.feed(line)
    over, total, running, failed = watcher.counts["build"]
    assert over == len(recorder.builds) == 6
    # 2.34 expects one more than it builds where a derivation is content-addressed.
    assert total == over + (series == "2.34")
    assert (running, failed) == (0, 0)


def test_what_failed_is_over_and_was_expected() -> None:
    watcher = Counter()
    recorder = Recorder(watcher=watcher)
    recorder.feed(event(action="start", id=1, type=104))
    recorder.feed(event(action="start", id=2, type=103))
    for number in range(6):
        recorder.feed(event(action="start", id=number + 9, type=105, fields=[f"/nix/store/{number}.drv", "", 1, 1]))
    recorder.feed(counts(1, 3, 7, 2, 1))
    recorder.feed(counts(2, 1, 4, 1, 0))
    assert watcher.counts == {"build": Tally(4, 8, 2, 1), "fetch": Tally(1, 4, 1, 0)}
    # The rest of the paths had no room on the command line.
    for number in range(6, 9):
        recorder.feed(event(action="start", id=number + 9, type=105, fields=[f"/nix/store/{number}.drv", "", 1, 1]))
    recorder.feed(counts(1, 7, 7, 0, 1))
    recorder.feed(event(action="start", id=3, type=104))
    recorder.feed(counts(3, 0, 5, 1, 0))
    assert watcher.counts["build"] == Tally(8, 13, 1, 1)


@pytest.mark.parametrize("line", [(9, 1, 2, 3, 4), (1, "1", 2, 3, 4), (1, 1, 2), (1, None, 1, 1, 1)])
def test_no_other_count_is_taken_for_nix_s(line: tuple[int, *tuple[object, ...]]) -> None:
    """A builder can print results of its own, and Nix gives them a number that is not that of the builds."""
    watcher = Counter()
    recorder = Recorder(watcher=watcher)
    recorder.feed(event(action="start", id=1, type=104))
    recorder.feed(counts(*line))
    assert watcher.counts == {}


def test_who_waits_says_what_for() -> None:
    watcher = Counter()
    recorder = Recorder(watcher=watcher)
    recorder.feed(event(action="start", id=4, type=111, text="waiting for lock on \x1b[35;1m'/nix/store/x'\x1b[0m"))
    assert watcher.waits == ["waiting for lock on '/nix/store/x'"]
    recorder.feed(event(action="stop", id=4))
    assert watcher.waits == []


@pytest.mark.size
def test_a_million_lines_stay_under_100_mb() -> None:
    """The whole process, interpreter and modules included, measured by the system."""
    code = """
import re
from nix_repro.nix.derivation import Derivation
from nix_repro.nix.log.recorder import Recorder
from nix_repro.nix.processes import bounded_lines
recorder = Recorder()
class Stream:  # as a pipe is read: line by line, never the whole
    def __init__(self): self.lines = make()
    def readline(self, limit): return next(self.lines, b"")
def make():
    for n in range(10_000):
        drv = b'["/nix/store/%032d-package.drv","",1,1]' % n
        yield b'@nix {"action":"start","id":%d,"text":"building","type":105,"fields":%s}\\n' % (n, drv)
        for line in range(97):
            said = b"checking for something or other... yes " * 4
            yield b'@nix {"action":"result","id":%d,"type":101,"fields":["%s"]}\\n' % (n, said)
        yield b'@nix {"action":"msg","level":0,"msg":"error: something went wrong with number %d"}\\n' % n
        yield b'@nix {"action":"stop","id":%d}\\n' % n
count = 0
for line in bounded_lines(Stream()):
    recorder.feed(line); count += 1
# Not ru_maxrss: that counts the parent too, from before exec.
print(count, len(recorder.builds), re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())[1])
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONPATH": ":".join(sys.path)}
    )
    lines, builds, kilobytes = map(int, done.stdout.split())
    assert (lines, builds) == (1_000_000, 10_000)
    assert kilobytes < 100_000


def event(**fields: object) -> bytes:
    return b"@nix " + json.dumps(fields).encode()


def own(text: str) -> bytes:
    """An error that Nix raises itself."""
    return event(action="msg", level=0, msg=text, raw_msg=text)


def path_of(recorder: Recorder, name: str) -> str:
    return next(a.name for a in recorder.builds if short(a.name) == name)


def shown(series: str) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = json.loads((RECORDED / series / "derivations.json").read_text())
    nested: dict[str, dict[str, str]] = found.get("derivations", found)  # type: ignore[assignment]
    return nested


def test_a_command_that_runs_once_more_forgets_its_own_failures_only() -> None:
    """Of what was asked for before it, nothing is said again."""
    recorder = heard(own(FAILED.format(A)), claim(DEPENDENCY.format(TOP)))
    before = recorder.failures()
    recorder.feed(own(FAILED.format(B)))
    recorder.feed(claim(FAILED.format(TOP)))
    recorder.forget_failures(before)
    recorder.forget_failures(before)
    assert (recorder.failure_of(A), recorder.failure_of(B)) == ("failed", None)
    recorder.feed(own(f"error: build of '{TOP}' failed"))
    assert recorder.failure_of(TOP) == "dependency-failed", "what the first try said of it is gone"
