"""What a rebuild stands on, and when a target has to wait for another one's rebuild."""

from __future__ import annotations

from dataclasses import replace
from subprocess import CompletedProcess
from unittest.mock import Mock

from nix_repro.build.rebuild.inputs import (
    batches,
    by_groups,
    input_installables,
    on_rebuilt_inputs,
    parted,
    realise_inputs,
)
from nix_repro.build.rebuild.protocol import Answer
from nix_repro.nix.log.recorder import Recorder
from rebuilds import Log, derivation, path, request

GLIBC, LIB = derivation("glibc"), derivation("lib", {"glibc": ("out",)})
APP = derivation("app", {"lib": ("out",), "glibc": ("dev", "bin")}, sources=("/nix/store/src",))
FIRST = request(GLIBC, LIB, APP).first


def test_inputs_are_the_wanted_outputs_of_what_is_no_target() -> None:
    assert input_installables([LIB, APP]) == [f"{GLIBC.drv_path}!bin,dev,out"]
    assert input_installables([APP]) == [f"{GLIBC.drv_path}!bin,dev", f"{LIB.drv_path}!out"]
    assert input_installables([GLIBC]) == []


def test_nothing_is_realised_for_sources_alone() -> None:
    nix = Mock()
    assert realise_inputs(nix, [derivation("one", sources=("/s/a", "/s/b"))], Recorder()) == ["/s/a", "/s/b"]
    nix.stream.assert_not_called()


def test_inputs_are_realised_and_said_once() -> None:
    nix = Mock()
    nix.stream.return_value = CompletedProcess([], 0, b"/nix/store/glibc\n/nix/store/src\n")
    assert realise_inputs(nix, [APP], Recorder()) == ["/nix/store/src", "/nix/store/glibc"]
    assert nix.stream.call_args.args[1:] == ("nix-store", "--realise", "--keep-going")
    assert nix.stream.call_args.kwargs["paths"] == input_installables([APP])


def test_what_the_inputs_were_built_from_waits() -> None:
    """The input that is no target was built from LIB: with it there, LIB would not be built again."""
    assert parted([APP, LIB], [path("glibc"), path("lib")], FIRST) == ([APP], [LIB])
    assert parted([APP, LIB], [path("glibc")], FIRST) == ([APP, LIB], [])


def test_all_at_once_when_all_would_wait() -> None:
    assert parted([APP, LIB], [path("app"), path("lib")], FIRST) == ([APP, LIB], [])
    assert parted([], [], FIRST) == ([], [])


def test_groups_have_inputs_without_their_own_outputs() -> None:
    nix = Mock()
    nix.stream.return_value = CompletedProcess([], 0, b"")
    closures = iter([[path("lib")], ["/apps"], ["/libs"]])
    nix.requisites.side_effect = lambda _: next(closures)
    assert list(batches(nix, [APP, LIB], FIRST, Recorder())) == [([APP], ["/apps"]), ([LIB], ["/libs"])]


def test_answers_of_groups_are_put_together() -> None:
    nix = Mock()
    nix.stream.return_value = CompletedProcess([], 0, b"")
    closures = iter([[path("lib")], [], []])
    nix.requisites.side_effect = lambda _: next(closures)
    asked = request(APP, LIB)
    groups: list[tuple[str, ...]] = []

    def rebuild(part: object, closure: list[str]) -> Answer:
        assert isinstance(part, type(asked))
        assert part == replace(asked, targets=part.targets)
        assert closure == []
        groups.append(tuple(drv.name for drv in part.targets))
        return Answer(tuple(asked.first[drv.drv_path] for drv in part.targets), {})

    answer = by_groups(nix, asked, Recorder(), rebuild)
    assert groups == [("app",), ("lib",)]
    assert [attempt.drv_path for attempt in answer.attempts] == [APP.drv_path, LIB.drv_path]


def test_targets_above_an_input_that_was_built_again_are_named() -> None:
    log = Log()
    log.build(APP)
    assert on_rebuilt_inputs(request(LIB, APP), log.recorder) == set()
    log.build(GLIBC)
    assert on_rebuilt_inputs(request(LIB, APP), log.recorder) == {LIB.drv_path, APP.drv_path}
    assert on_rebuilt_inputs(request(LIB, APP, GLIBC), log.recorder) == set()
