"""Which derivation a failed build is blamed on, and what is said of the others."""

from __future__ import annotations

import json

import pytest

from nix_repro.build.blame import rooted
from nix_repro.nix.derivation import Derivation
from nix_repro.nix.log.recorder import Recorder
from nix_repro.observations import Attempt
from nix_repro.reasons import BUILDER_FAILED, DEPENDENCY_FAILED, TIMED_OUT, Reason, recall, said
from nix_repro.report import Status
from rebuilds import derivation, first_build

OUT = ("out",)


def tried(drv: Derivation, because: Reason = DEPENDENCY_FAILED, status: Status | None = None) -> Attempt:
    """An attempt that left nothing."""
    status = status or ("dependency-failed" if because == DEPENDENCY_FAILED else "failed")
    return Attempt(drv.drv_path, 1, status, missing={"out": because}, because=because)


def reasons(*attempts: Attempt, graph: list[Derivation], errors: tuple[str, ...] = ()) -> dict[str, str]:
    """What is said of each attempt, by the first letter of its derivation's name."""
    recorder = Recorder()
    for text in errors:
        recorder.feed(b"@nix " + json.dumps({"action": "msg", "level": 0, "msg": text, "raw_msg": text}).encode())
    found = rooted(attempts, {drv.drv_path: drv for drv in graph}, recorder)
    assert all(set(one.missing.values()) <= {one.because} for one in found)
    return {one.drv_path.rpartition("-")[2][0]: one.because.text for one in found if one.because is not None}


def test_the_dependency_that_failed_is_named_not_the_one_between() -> None:
    a, b, c = derivation("a"), derivation("b", {"a": OUT}), derivation("c", {"b": OUT})
    told = reasons(tried(c), tried(b), tried(a, BUILDER_FAILED), graph=[a, b, c])
    assert told == {
        "a": "the builder failed",
        "b": "a dependency failed to build: a",
        "c": "a dependency failed to build: a",
    }


def test_also_through_what_is_not_asked_for() -> None:
    a, b, c = derivation("a"), derivation("b", {"a": OUT}), derivation("c", {"b": OUT})
    assert reasons(tried(c), tried(a, TIMED_OUT), graph=[a, b, c])["c"] == "a dependency failed to build: a"


@pytest.mark.parametrize(
    ("failed", "named"),
    [("ab", "a, b"), ("abd", "a, b, d"), ("abde", "a, b, d and others"), ("abdefg", "a, b, d and others")],
)
def test_several_are_named_and_many_are_not(failed: str, named: str) -> None:
    below = [derivation(name) for name in failed]
    top = derivation("z", dict.fromkeys(failed, OUT))
    told = reasons(tried(top), *(tried(drv, BUILDER_FAILED) for drv in below), graph=[*below, top])
    assert told["z"] == f"a dependency failed to build: {named}"


def test_what_was_built_is_not_blamed_and_keeps_what_it_has() -> None:
    a, b, top = derivation("a"), derivation("b"), derivation("z", {"a": OUT, "b": OUT})
    told = reasons(tried(top), first_build(a), tried(b, BUILDER_FAILED), graph=[a, b, top])
    assert told == {"b": "the builder failed", "z": "a dependency failed to build: b"}


def test_a_victim_of_nobody_speaks_for_itself() -> None:
    top = derivation("z", {"a": OUT})
    assert reasons(tried(top), graph=[derivation("a"), top], errors=("error: no space in the air",)) == {
        "z": "no space in the air"
    }


def test_what_nix_says_without_a_name_is_told_where_nothing_else_is() -> None:
    a, b = derivation("a"), derivation("b")
    illegal = "error: derivation contains an illegal reference specifier 'x'"
    told = reasons(tried(a, BUILDER_FAILED), tried(b, Reason("exit")), graph=[a, b], errors=(illegal, illegal))
    assert told == {
        "a": "it failed, and Nix said without naming a derivation: derivation contains an illegal reference "
        "specifier 'x'",
        "b": "exit",
    }


def test_a_large_graph_in_which_everything_fails() -> None:
    """Names are few, however many fail: a thousand roots under a chain of five thousand."""
    roots = [derivation(f"r{n}") for n in range(1000)]
    chain = [derivation("c0", {drv.name: OUT for drv in roots})]
    chain += [derivation(f"c{n}", {f"c{n - 1}": OUT}) for n in range(1, 5000)]
    attempts = [tried(drv, BUILDER_FAILED) for drv in roots] + [tried(drv) for drv in chain]
    found = rooted(attempts, {drv.drv_path: drv for drv in [*roots, *chain]}, Recorder())
    assert {one.because for one in found[1000:]} == {DEPENDENCY_FAILED.of("r0, r1, r2 and others")}


def test_the_reason_is_found_again_with_its_names_and_nobody_words_it() -> None:
    named = DEPENDENCY_FAILED.of("glibc")
    assert recall(named.text) == named
    assert named.question
    assert not recall("a dependency failed to build: ").question
    assert said(named.text).failure, "a builder may have said so"
