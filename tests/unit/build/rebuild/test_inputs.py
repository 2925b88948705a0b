"""What a rebuild stands on, and when a target has to wait for another one's rebuild."""

from __future__ import annotations

from dataclasses import replace
from subprocess import CompletedProcess
from unittest.mock import Mock

from nix_repro.build.rebuild.inputs import (
    batches,
    built_from,
    by_groups,
    input_installables,
    on_other_inputs,
    parted,
    realise_inputs,
)
from nix_repro.build.rebuild.protocol import Answer
from nix_repro.nix.log.recorder import Recorder
from nix_repro.reasons import INPUT_CHANGED
from rebuilds import derivation, path, request, sri

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
    nix.valid_hashes.side_effect = lambda paths: dict.fromkeys(paths, sri("A"))
    nix.stream.return_value = CompletedProcess([], 0, b"")
    closures = iter([[path("lib")], [path("lib")], []])
    nix.requisites.side_effect = lambda _: next(closures)
    asked = request(APP, LIB)
    groups: list[tuple[str, ...]] = []

    def rebuild(part: object, closure: list[str]) -> Answer:
        assert isinstance(part, type(asked))
        assert part == replace(asked, targets=part.targets)
        assert closure == ([path("lib")] if part.targets == (APP,) else [])
        groups.append(tuple(drv.name for drv in part.targets))
        return Answer(tuple(asked.first[drv.drv_path] for drv in part.targets), {})

    answer = by_groups(nix, asked, Recorder(), rebuild)
    assert groups == [("app",), ("lib",)]
    assert [attempt.drv_path for attempt in answer.attempts] == [APP.drv_path, LIB.drv_path]


def store(**contents: str) -> Mock:
    """A Nix with a store of these paths, by name and content, whose closures are themselves."""
    nix = Mock()
    valid = {path(name): sri(content) for name, content in contents.items()}
    nix.valid_hashes.side_effect = lambda paths: {p: valid[p] for p in paths if p in valid}
    nix.stream.return_value = CompletedProcess([], 0, b"")
    nix.requisites.side_effect = lambda paths: [p for p in [*paths, *valid] if p in valid]
    return nix


def test_inputs_as_the_first_build_left_them_are_no_obstacle() -> None:
    asked = request(APP, others=[GLIBC, LIB])
    asked = replace(asked, first={path: build for path, build in asked.first.items() if path != GLIBC.drv_path})
    assert on_other_inputs(store(lib="A", glibc="B"), asked, [path("lib"), path("glibc")]) == set(), "it is no target"


def test_what_would_stand_on_another_runs_input_is_named() -> None:
    asked = request(APP, others=[LIB])
    assert on_other_inputs(store(lib="B"), asked, [path("lib")]) == {APP.drv_path}
    assert on_other_inputs(store(), asked, []) == {APP.drv_path}, "or on none"
    assert on_other_inputs(store(lib="B"), request(APP, LIB), [path("lib")], [APP, LIB]) == set(), "it is built again"


def test_an_input_of_an_input_counts_as_well() -> None:
    top = derivation("top", {"lib": ("out",)})
    asked = request(top, others=[LIB, GLIBC])
    assert on_other_inputs(store(lib="A", glibc="B"), asked, [path("lib"), path("glibc")]) == {top.drv_path}


def test_what_is_built_from_such_a_target_is_named_with_it() -> None:
    top = derivation("top", {"app": ("out",)})
    assert built_from(store(lib="A"), [APP, top], {path("lib")}) == {APP.drv_path, top.drv_path}
    assert built_from(store(lib="A"), [APP, top], ()) == set()


def test_nothing_is_built_again_on_an_input_that_has_changed() -> None:
    asked = request(APP, others=[LIB], isolated=True)
    answer = by_groups(store(lib="B"), asked, Recorder(), Mock(side_effect=AssertionError))
    (attempt,) = answer.attempts
    assert (attempt.status, attempt.because, attempt.isolated) == ("not-built", INPUT_CHANGED, True)
