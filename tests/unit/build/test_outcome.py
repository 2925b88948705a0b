"""What a build came to: where outputs came from, and why there are none, by what Nix and the builders said."""

from __future__ import annotations

import copy
import json
from typing import Literal

import msgspec
import pytest

from nix_repro.build.outcome import InStore, observe_build, rejection, why_not
from nix_repro.nix.derivation import Derivation, DrvOutput
from nix_repro.nix.log.recorder import Recorder
from nix_repro.observations import Attempt, Seen
from nix_repro.reasons import DISK_FULL, Reason, said
from rebuilds import derivation

FULL = "cp: error writing 'x': No space left on device"


A, B = derivation("a"), derivation("b")


def recorded(*said: tuple[Derivation, list[str], bool], errors: tuple[str, ...] = (), full: bool = True) -> Recorder:
    """A log in which each derivation is built, prints its lines, and fails or not; `full`: meanwhile the disk is."""
    recorder = Recorder(disk_full=lambda: full)

    def feed(**event: object) -> None:
        recorder.feed(b"@nix " + json.dumps(event).encode())

    for number, (drv, lines, fails) in enumerate(said):
        feed(action="start", id=number, type=105, fields=[drv.drv_path, "", 1, 1])
        for line in lines:
            feed(action="result", id=number, type=101, fields=[line])
        feed(action="stop", id=number)
        if fails:
            quoted = "".join(f"\n       > {line}" for line in lines[-10:])
            message = f"error: builder for '{drv.drv_path}' failed with exit code 1;\n       last 10 log lines:{quoted}"
            feed(action="msg", level=0, msg=message, raw_msg=message)
    for error in errors:
        feed(action="msg", level=0, msg=error, raw_msg=error)
    return recorder


def test_a_builder_that_ran_out_of_space_and_what_fails_beside_it() -> None:
    recorder = recorded((A, ["first", FULL], True), (B, ["cannot make a file"], True))
    assert why_not(A, recorder, cancelled=False) == ("disk-full", DISK_FULL)
    assert why_not(B, recorder, cancelled=False) == ("disk-full", DISK_FULL)


def test_a_builder_that_speaks_of_full_disks_and_goes_on() -> None:
    """Test suites do, on /dev/full."""
    assert why_not(B, recorded((A, [FULL], False), (B, ["wrong"], True)), cancelled=False) == (
        "failed",
        Reason("the builder failed with exit code 1"),
    )
    chatty = [FULL, *(f"test {n}: ok" for n in range(30)), "test 31: failed"]
    assert why_not(B, recorded((B, chatty, True)), cancelled=False) == (
        "failed",
        Reason("the builder failed with exit code 1"),
    )


def test_nix_that_ran_out_of_space() -> None:
    recorder = recorded((A, [], False), errors=("error: writing to file: No space left on device",))
    assert why_not(A, recorder, cancelled=False) == ("disk-full", DISK_FULL)


def test_an_error_without_words() -> None:
    """A builder can say that in Nix's name."""
    status, because = why_not(A, recorded(errors=("",)), cancelled=False)
    assert (status, bool(because.text)) == ("not-built", True)


Event = dict[str, object]
How = Literal["built", "substituted", "present"]
STARTED = 100.0
PATH = A.outputs["out"].path or ""


def came_about(*log: Event, present: bool = False) -> Attempt:
    """What one derivation came to whose output is there in the end."""
    now = STARTED
    recorder = Recorder(clock=lambda: now)
    for event in log:
        recorder.feed(b"@nix " + json.dumps(event).encode())
        now += 1
    left = InStore({A.drv_path: {"out": PATH}}, {PATH: "sha256-x"}, {A.drv_path: None})
    [attempt] = observe_build(left, [A], {PATH} if present else set(), recorder, cancelled=False)
    return attempt


def event(action: str, number: int, kind: int = 0, *fields: object) -> Event:
    return {"action": action, "id": number, "type": kind, "fields": fields}


BUILT = (event("start", 1, 105, A.drv_path, "ssh://other", 1, 1), event("stop", 1))
FETCHED = (event("start", 2, 108, PATH, "https://cache.example.org"), event("stop", 2))


@pytest.mark.parametrize(
    ("log", "present", "how", "origin"),
    [
        (BUILT, False, "built", "ssh://other"),
        (FETCHED, False, "substituted", "https://cache.example.org"),
        # What a cache fails to deliver is built in the end, and what was built may be fetched again.
        ((*FETCHED, *BUILT), False, "built", "ssh://other"),
        ((*BUILT, *FETCHED), False, "substituted", "https://cache.example.org"),
        ((), True, "present", "local store, valid before this run"),
        ((), False, "present", "local store, valid before this run"),
        (BUILT, True, "present", "local store, valid before this run"),
    ],
)
def test_where_an_output_came_from(log: tuple[Event, ...], present: bool, how: How, origin: str) -> None:
    attempt = came_about(*log, present=present)
    assert (attempt.status, attempt.because, attempt.missing) == (how, None, {})
    assert attempt.outputs == {"out": Seen(PATH, "sha256-x", how, origin)}
    assert (attempt.started is not None) == (BUILT[0] in log)


def test_an_output_that_is_not_there_takes_the_others_with_it() -> None:
    both = msgspec.structs.replace(A, outputs={"out": DrvOutput(PATH), "dev": DrvOutput(f"{PATH}-dev")})
    left = InStore({A.drv_path: {"out": PATH, "dev": f"{PATH}-dev"}}, {PATH: "sha256-x"}, {A.drv_path: None})
    [attempt] = observe_build(left, [both], set(), recorded((A, ["why"], True)), cancelled=False)
    assert (attempt.status, attempt.outputs, attempt.log) == ("failed", {}, "why")
    assert attempt.missing == {
        "out": Reason("the builder failed with exit code 1"),
        "dev": Reason("the builder failed with exit code 1"),
    }


def test_what_looks_at_the_recorder_leaves_it_as_it_is() -> None:
    recorder = recorded((A, [FULL], True), (B, ["said"], False), errors=("error: nobody's",))
    before = copy.deepcopy(recorder)
    left = InStore({A.drv_path: {}, B.drv_path: {}}, {}, {A.drv_path: 1.0, B.drv_path: 1.0})
    assert [one.status for one in observe_build(left, [A, B], set(), recorder, cancelled=False)] == ["disk-full"] * 2
    assert rejection(A, recorder) is None
    assert recorder == before


def test_words_without_a_name_are_about_who_is_found_out() -> None:
    recorder = recorded(errors=("error: a pipe in an output",))
    recorder.accuse(A.drv_path, "a pipe in an output")
    assert why_not(A, recorder, cancelled=False) == ("failed", said("a pipe in an output"))
    assert why_not(B, recorder, cancelled=False) == ("not-built", said("a pipe in an output"))
    recorder.acquit(A.drv_path)
    assert why_not(A, recorder, cancelled=False) == ("not-built", said("a pipe in an output"))


def test_what_is_said_of_a_derivation_with_its_inputs_filled_in_is_about_the_one_before() -> None:
    resolved = "/nix/store/" + "9" * 32 + "-a.drv"
    recorder = Recorder()
    waiting = {"action": "start", "id": 1, "type": 111, "fields": [A.drv_path, resolved]}
    text = f"error: fixed-output derivations must not reference store paths: '{resolved}' references 1 distinct paths"
    for event in (waiting, {"action": "msg", "level": 0, "msg": text, "raw_msg": text}):
        recorder.feed(b"@nix " + json.dumps(event).encode())
    assert why_not(A, recorder, cancelled=False) == ("failed", Reason(text.removeprefix("error: ")))
