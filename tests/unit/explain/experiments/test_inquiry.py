"""What an outcome proves, and what it does not."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from unittest.mock import Mock

import pytest

from nix_repro.explain.experiments.inquiry import (
    FEW,
    HOLDS,
    MANY,
    REBUILDS,
    VARIES,
    Experiment,
    Hashes,
    Inquiry,
    Proof,
    conduct,
    hold,
    likeliest_first,
    vary,
)
from nix_repro.explain.experiments.prove import proved
from nix_repro.report import Finding

FROZEN, _, ONE_CPU = HOLDS
Script = Mapping[str | None, Iterator[str]]


def settle(inquiry: Inquiry, script: Script, rebuilds: int = 1000) -> list[Proof]:
    """Conduct one inquiry into one output; the script has its hashes by experiment in order. A placebo that it does not
    have changes nothing. Another experiment that it does not have cannot be done, and there is time for no more than so
    many rebuilds."""
    done: list[Experiment | None] = []

    def rebuild(experiment: Experiment | None, names: Sequence[str]) -> dict[str, Hashes]:
        done.append(experiment)
        name = experiment.name if experiment else None
        values = script.get(name, script.get(None) if experiment and experiment.is_placebo else None)
        return {"one": {"out": next(values)} if values is not None else None}

    proofs, _ = conduct({"one": inquiry}, rebuild, lambda: len(done) < rebuilds)
    assert len(done) <= min(rebuilds, REBUILDS)
    return proofs["one"]


def different() -> Iterator[str]:
    return (f"different-{n}" for n in itertools.count())


def test_a_hold_that_takes_the_difference_away_is_proof() -> None:
    script = {None: different(), "clock-frozen": itertools.repeat("held"), "one-cpu": different()}
    (proof,) = settle(hold({"out": ["a", "b"]}, HOLDS, [finding("timestamp")]), script)
    words = (
        "with the clock frozen, 3 rebuilds are the same, and with the fake clock showing the right time they are not"
    )
    assert (proof.experiment, proof.because) == (FROZEN, words)
    (proof,) = settle(hold({"out": ["a", "b"]}, HOLDS, [finding("timestamp"), finding("unknown")]), script)
    assert "12 rebuilds" in proof.because


def test_randomness_is_held_by_nothing() -> None:
    script = {None: different(), "clock-frozen": different(), "one-cpu": different()}
    assert settle(hold({"out": ["a", "b"]}, HOLDS), script) == []


def test_a_difference_that_comes_and_goes_needs_many_equal_rebuilds() -> None:
    (proof,) = settle(
        hold({"out": ["a", "b"]}, [FROZEN]),
        {
            None: itertools.repeat("a"),
            "clock-frozen": itertools.repeat("held"),
            "clock-frozen-placebo": itertools.cycle("aab"),
        },
    )
    assert f"{MANY} rebuilds" in proof.because
    by_chance = itertools.chain(["a"] * (MANY - 1), ["b"])
    assert settle(hold({"out": ["a", "b"]}, [FROZEN]), {None: itertools.repeat("a"), "clock-frozen": by_chance}) == []


def test_the_rarer_the_difference_the_more_equal_rebuilds() -> None:
    script = {
        None: itertools.repeat("a"),
        "clock-frozen": itertools.repeat("a"),
        "clock-frozen-placebo": itertools.cycle("aab"),
    }
    (proof,) = settle(hold({"out": [*["a"] * 5, "b"]}, [FROZEN]), script)
    assert "30 rebuilds" in proof.because
    assert settle(hold({"out": [*["a"] * 9, "b"]}, [FROZEN]), script) == []


@pytest.mark.parametrize("rebuilds", range(1 + FEW))
def test_too_few_rebuilds_prove_nothing(rebuilds: int) -> None:
    script = {None: different(), "clock-frozen": itertools.repeat("held")}
    assert settle(hold({"out": ["a", "b"]}, [FROZEN]), script, rebuilds) == []


def test_no_time_no_rebuild() -> None:
    assert settle(hold({"out": ["a", "b"]}, HOLDS), {}, rebuilds=0) == []
    assert settle(vary({"out": "a"}, VARIES), {}, rebuilds=0) == []


def test_a_change_that_brings_the_difference_is_proof_when_undoing_it_takes_it_away() -> None:
    script = {e.name: itertools.repeat("a") for e in VARIES} | {
        None: itertools.repeat("a"),
        "cores": itertools.repeat("other"),
    }
    (proof,) = settle(vary({"out": "a"}, VARIES), script)
    assert proof.experiment.name == "cores"
    assert settle(vary({"out": "a"}, VARIES), script | {None: different()}) == []


@pytest.mark.parametrize("times", range(1, FEW))
def test_a_difference_that_came_with_a_change_by_chance_is_no_proof(times: int) -> None:
    script = {e.name: itertools.repeat("a") for e in VARIES} | {None: itertools.repeat("a")}
    assert (
        settle(vary({"out": "a"}, VARIES), script | {"cores": itertools.chain(["b"] * times, itertools.repeat("a"))})
        == []
    )


def test_what_differs_with_nothing_changed_is_asked_what_holds_it() -> None:
    """The same in the first two builds by chance: a race that one core ends."""
    race = itertools.cycle(["b", "a", "c"])
    script = {e.name: itertools.repeat("a") for e in VARIES} | {
        "clock-shifted": race,
        "clock-frozen": race,
        None: race,
        "one-cpu": itertools.repeat("a"),
    }
    (proof,) = settle(vary({"out": "z"}, VARIES, HOLDS), script)
    assert proof.experiment == ONE_CPU


def test_an_experiment_that_cannot_be_done_proves_nothing() -> None:
    assert settle(vary({"out": "a"}, VARIES), {None: itertools.repeat("a")}) == []
    assert settle(hold({"out": ["a", "b"]}, HOLDS), {None: different()}) == []


def test_several_are_rebuilt_together_and_each_has_its_own_answer() -> None:
    answers: dict[str, dict[str | None, Iterator[str]]] = {
        "stamp": {None: different(), "clock-frozen": itertools.repeat("x")},
        "race": {
            None: different(),
            "clock-frozen": different(),
            "own-time": different(),
            "one-cpu": itertools.repeat("x"),
        },
    }
    runs: list[list[str]] = []

    def rebuild(experiment: Experiment | None, names: Sequence[str]) -> dict[str, Hashes]:
        runs.append(list(names))
        key = experiment.name if experiment and not experiment.is_placebo else None
        return {name: {"out": next(answers[name][key])} for name in names}

    known = {"stamp": [finding("timestamp")], "race": [finding("ordering")]}
    inquiries = {name: hold({"out": ["a", "b"]}, HOLDS, known[name]) for name in answers}
    proofs, late = conduct(inquiries, rebuild, lambda: True)
    assert {name: [proof.experiment for proof in found] for name, found in proofs.items()} == {
        "stamp": [FROZEN],
        "race": [ONE_CPU],
    }
    assert late == []
    # One control, three with the clock frozen (the race is out of it after two) and two with its placebo; two for the
    # race alone, many on one core, and two with its placebo.
    assert len(runs) == 1 + FEW + 2 + 2 + MANY + 2
    assert runs[0] == ["stamp", "race"]


def test_who_had_no_time_is_named() -> None:
    """Whether the time was up before a rebuild or while it went on."""
    for done in ([], ["one"], ["one", "two"]):
        answers, left = {name: {"out": "c"} for name in done}, iter([True, False, False])
        inquiries = {name: hold({"out": ["a", "b"]}, HOLDS) for name in ("one", "two")}
        proofs, late = conduct(inquiries, Mock(return_value=answers), partial(next, left))
        assert (proofs, sorted(late)) == ({"one": [], "two": []}, ["one", "two"])


def test_what_a_rule_suspects_is_tried_first() -> None:
    findings = [finding("unknown"), finding("host"), finding("ordering")]
    names = [e.name for e in likeliest_first(VARIES, findings)]
    assert names[:2] == ["kernel", "directory-order"]
    assert sorted(names) == sorted(e.name for e in VARIES)


def test_proof_corrects_a_rule() -> None:
    proofs = settle(hold({"out": ["a", "b"]}, [FROZEN]), {None: different(), "clock-frozen": itertools.repeat("held")})
    right, wrong = proved([finding("timestamp"), finding("randomness")], proofs)
    assert (right.cause, right.confidence) == (wrong.cause, wrong.confidence) == ("timestamp", "proved")
    assert right.because.startswith("seen; proved: ")
    assert wrong.because.startswith("proved: ")
    (other,) = proved([finding("randomness", output="doc")], proofs)
    assert (other.cause, other.confidence) == ("randomness", "high")


def test_proof_keeps_what_a_rule_read_off_an_archive() -> None:
    proofs = settle(hold({"out": ["a", "b"]}, [ONE_CPU]), {None: different(), "one-cpu": itertools.repeat("held")})
    (found,) = proved([finding("archive-metadata")], proofs)
    assert (found.cause, found.confidence) == ("parallelism", "proved")
    assert found.because.startswith("seen; proved: ")


def finding(cause: str, output: str = "out") -> Finding:
    return Finding(output=output, path="", cause=cause, confidence="high", because="seen", fix="")  # type: ignore[arg-type]
