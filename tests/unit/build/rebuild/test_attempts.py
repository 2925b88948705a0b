"""What a rebuild came to: a hash without a build that was seen is none."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from nix_repro.build.rebuild.attempts import attempts_of, differing, keep_directory, not_built, on_rebuilt_inputs
from nix_repro.build.rebuild.protocol import Request
from nix_repro.observations import Attempt, Seen
from nix_repro.reasons import ALREADY_THERE, CANCELLED, INPUT_REBUILT, NO_EVENT, TIMED_OUT, Reason
from rebuilds import Log, derivation, first_build, path, request, sri

ONE = derivation("one", outputs=("out", "doc"))
PATHS = {ONE.drv_path: {"out": path("one"), "doc": path("one-doc")}}
HASHES = {path("one"): sri("A"), path("one-doc"): sri("B")}


def came_to(
    log: Log,
    asked: Request | None = None,
    hashes: dict[str, str] = HASHES,
    *,
    cancelled: bool = False,
    reasons: dict[str, Reason] | None = None,
) -> Attempt:
    (attempt,) = attempts_of(
        asked or request(ONE), PATHS, hashes, log.recorder, "here", cancelled=cancelled, reasons=reasons or {}
    )
    return attempt


def test_a_build_that_was_seen_and_left_everything_has_hashes() -> None:
    log = Log()
    log.build(ONE)
    found = came_to(log)
    assert (found.status, found.because, found.missing, found.isolated) == ("built", None, {}, False)
    assert found.outputs == {
        "out": Seen(path("one"), sri("A"), "rebuilt", "round 2, here"),
        "doc": Seen(path("one-doc"), sri("B"), "rebuilt", "round 2, here"),
    }
    assert (found.started, found.seconds) == (1000.0, 1.0)


def test_with_the_first_builds_inputs_it_says_so() -> None:
    log = Log()
    log.build(ONE)
    found = came_to(log, request(ONE, isolated=True, round_number=3))
    assert (found.round, found.isolated) == (3, True)
    assert found.outputs["out"].origin == "round 3, here, the first build's inputs"


def test_outputs_that_nobody_was_seen_to_build_are_no_rebuild() -> None:
    found = came_to(Log())
    assert (found.status, found.because, found.outputs) == ("not-built", NO_EVENT, {})
    assert found.missing == {"out": NO_EVENT, "doc": NO_EVENT}
    assert (found.started, found.seconds) == (None, None)


def test_a_build_that_failed_left_nothing_and_its_log() -> None:
    log = Log()
    log.build(ONE)
    log.failed(ONE)
    found = came_to(log, hashes={})
    assert (found.status, found.because, found.outputs) == ("failed", Reason("the builder failed with exit code 1"), {})
    assert found.seconds == 1.0


def test_what_was_cancelled_is_not_to_blame() -> None:
    assert came_to(Log(), hashes={}, cancelled=True).because == CANCELLED


def test_what_speaks_against_a_rebuild_wins_over_its_hashes() -> None:
    log = Log()
    log.build(ONE)
    found = came_to(log, reasons={ONE.drv_path: ALREADY_THERE})
    assert (found.status, found.because, found.outputs) == ("not-built", ALREADY_THERE, {})
    assert found.missing == {"out": ALREADY_THERE, "doc": ALREADY_THERE}
    assert came_to(log, reasons={"/other.drv": ALREADY_THERE}).status == "built"


def test_a_rebuild_on_an_input_that_is_not_the_first_builds_says_nothing() -> None:
    log, below = Log(), derivation("below")
    above = derivation("above", {"below": ("out",)})
    log.build(below)
    log.build(above)
    paths = {above.drv_path: {"out": path("above")}}
    (found,) = attempts_of(request(above), paths, {path("above"): sri("A")}, log.recorder, "here", cancelled=False)
    assert (found.status, found.because) == ("not-built", INPUT_REBUILT)


def test_outputs_tell_when_a_build_ended() -> None:
    """Nix says so only when the whole command is over."""
    log = Log()
    number = log.start(ONE)
    log.build(derivation("other"))
    log.stop(number)
    log.recorder.correct_ends([ONE], {ONE.drv_path: 1000.5})
    assert came_to(log).seconds == 0.5


def test_what_was_not_even_tried_has_one_reason() -> None:
    (found,) = not_built([ONE], 4, TIMED_OUT, isolated=True)
    assert found == Attempt(
        ONE.drv_path,
        4,
        "not-built",
        missing={"out": TIMED_OUT, "doc": TIMED_OUT},
        because=TIMED_OUT,
        isolated=True,
    )


def test_only_content_that_is_not_the_first_builds_differs() -> None:
    log = Log()
    log.build(ONE)
    asked = request(ONE)
    ((key, was, now),) = differing(asked, [came_to(log, asked)])
    assert (key, was.nar_hash, now.nar_hash) == ((ONE.drv_path, "doc"), sri("A"), sri("B"))
    assert list(differing(asked, [came_to(log, asked, {path("one"): sri("A"), path("one-doc"): sri("A")})])) == []


def test_trees_of_another_request_are_never_met() -> None:
    places = {
        keep_directory(request(ONE, round_number=n, isolated=isolated)) for n in (2, 3) for isolated in (False, True)
    }
    assert len(places) == 4
    assert {place.parent for place in places} == {Path("/run/trees")}


def test_targets_above_an_input_that_was_built_again_are_named() -> None:
    below, lib = derivation("glibc"), derivation("lib", {"glibc": ("out",)})
    app = derivation("app", {"lib": ("out",), "glibc": ("dev", "bin")})
    log = Log()
    log.build(app)
    assert on_rebuilt_inputs(request(lib, app), log.recorder) == set()
    log.build(below)
    assert on_rebuilt_inputs(request(lib, app), log.recorder) == {lib.drv_path, app.drv_path}
    assert on_rebuilt_inputs(request(lib, app, below), log.recorder) == set()


def test_what_is_compared_with_a_rebuild_that_the_store_holds_says_so() -> None:
    log, asked = Log(), request(ONE, isolated=True)
    log.build(ONE)
    held = replace(first_build(ONE, "B"), round=3)
    found = came_to(log, replace(asked, first={ONE.drv_path: held}))
    assert found.against == held
    assert found.outputs["out"].origin == "round 2, here, the same inputs as in round 3"
    ((key, was, _),) = differing(replace(asked, first={ONE.drv_path: held}), [found])
    assert (key, was) == ((ONE.drv_path, "out"), held.outputs["out"])
    assert came_to(log, asked).against is None
