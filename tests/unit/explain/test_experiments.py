"""What an outcome proves, and what it does not."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping

import pytest

from nix_repro.explain.experiments import FEW, HOLDS, MANY, VARIES, Experiment, Purse, hold, likeliest_first, vary
from nix_repro.proving import proved
from nix_repro.report import Finding

FROZEN, ONE_CPU = HOLDS
Script = Mapping[str | None, Iterator[str]]


def purse(rebuilds: int = 100, seconds: float = 1.0) -> Purse:
    return Purse(rebuilds, seconds, lambda: 0.0)


def rebuilding(script: Script) -> Callable[[Experiment | None], dict[str, str] | None]:
    """Rebuilds of one output, its hashes by experiment in order; one that the script does not have cannot be done."""

    def rebuild(experiment: Experiment | None) -> dict[str, str] | None:
        values = script.get(experiment.name if experiment else None)
        return {"out": next(values)} if values is not None else None

    return rebuild


def different() -> Iterator[str]:
    return (f"different-{n}" for n in itertools.count())


def test_a_hold_that_takes_the_difference_away_is_proof() -> None:
    rebuild = rebuilding({None: different(), "clock-frozen": itertools.repeat("held"), "one-cpu": different()})
    (proof,) = hold({"out": ["a", "b"]}, HOLDS, rebuild, purse())
    assert (proof.experiment, proof.because) == (FROZEN, f"with the clock frozen, {FEW} rebuilds are the same")


def test_randomness_is_held_by_nothing() -> None:
    rebuild = rebuilding({None: different(), "clock-frozen": different(), "one-cpu": different()})
    assert hold({"out": ["a", "b"]}, HOLDS, rebuild, purse()) == []


def test_a_difference_that_comes_and_goes_needs_many_equal_rebuilds() -> None:
    rebuild = rebuilding({None: itertools.repeat("a"), "clock-frozen": itertools.repeat("held")})
    (proof,) = hold({"out": ["a", "b"]}, [FROZEN], rebuild, purse())
    assert f"{MANY} rebuilds" in proof.because
    by_chance = itertools.chain(["a"] * (MANY - 1), ["b"])
    assert hold({"out": ["a", "b"]}, [FROZEN], rebuilding({None: itertools.repeat("a"), "clock-frozen": by_chance}), purse()) == []


@pytest.mark.parametrize("rebuilds", range(1 + FEW))
def test_too_few_rebuilds_prove_nothing(rebuilds: int) -> None:
    rebuild = rebuilding({None: different(), "clock-frozen": itertools.repeat("held")})
    assert hold({"out": ["a", "b"]}, [FROZEN], rebuild, purse(rebuilds)) == []


def test_no_time_no_rebuild() -> None:
    def never(experiment: Experiment | None) -> None:
        raise AssertionError(experiment)

    assert hold({"out": ["a", "b"]}, HOLDS, never, purse(seconds=0.0)) == []
    assert vary({"out": "a"}, VARIES, never, purse(seconds=0.0)) == []


def test_a_change_that_brings_the_difference_is_proof_when_undoing_it_takes_it_away() -> None:
    script = {e.name: itertools.repeat("a") for e in VARIES} | {None: itertools.repeat("a"), "cores": itertools.repeat("other")}
    (proof,) = vary({"out": "a"}, VARIES, rebuilding(script), purse())
    assert proof.experiment.name == "cores"
    assert vary({"out": "a"}, VARIES, rebuilding(script | {None: different()}), purse()) == []


def test_an_experiment_that_cannot_be_done_proves_nothing() -> None:
    assert vary({"out": "a"}, VARIES, rebuilding({None: itertools.repeat("a")}), purse()) == []
    assert hold({"out": ["a", "b"]}, HOLDS, rebuilding({None: different()}), purse()) == []


def test_what_a_rule_suspects_is_tried_first() -> None:
    findings = [finding("unknown"), finding("host"), finding("ordering")]
    names = [e.name for e in likeliest_first(VARIES, findings)]
    assert names[:2] == ["kernel", "directory-order"]
    assert sorted(names) == sorted(e.name for e in VARIES)


def test_proof_corrects_a_rule() -> None:
    rebuild = rebuilding({None: different(), "clock-frozen": itertools.repeat("held")})
    proofs = hold({"out": ["a", "b"]}, [FROZEN], rebuild, purse())
    right, wrong = proved([finding("timestamp"), finding("randomness")], proofs)
    assert (right.cause, right.confidence) == (wrong.cause, wrong.confidence) == ("timestamp", "proved")
    assert right.because.startswith("seen; proved: ")
    assert wrong.because.startswith("proved: ")
    (other,) = proved([finding("randomness", output="doc")], proofs)
    assert (other.cause, other.confidence) == ("randomness", "high")


def finding(cause: str, output: str = "out") -> Finding:
    return Finding(output=output, path="", cause=cause, confidence="high", because="seen", fix="")  # type: ignore[arg-type]
