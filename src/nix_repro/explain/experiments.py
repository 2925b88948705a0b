"""Proof by experiment: rebuild under one controlled change at a time and see whether the difference comes or goes. Pure:
what to try in which order, and what the outcome proves; the rebuilding is passed in.

Two kinds. *Hold*: the output differs by itself; two rebuilds with one thing held still are the same, so that thing is the
cause. *Vary*: the output is the same by itself; with one thing changed it differs, so that thing is the cause.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from nix_repro.report import Cause, Finding

#: Equal rebuilds that prove a hold: of a difference that was another one every time, and of one that was not.
FEW, MANY = 3, 7
#: narHash by output name, or None when that rebuild could not be had.
Hashes = Mapping[str, str] | None


@dataclass(frozen=True)
class Experiment:
    """`holds` says which of the two kinds it is; `what` completes "with …"."""

    name: str
    cause: Cause
    holds: bool
    what: str


HOLDS = (
    Experiment("clock-frozen", "timestamp", True, "the clock frozen"),
    Experiment("one-cpu", "parallelism", True, "one core"),
)
VARIES = (
    Experiment("clock-shifted", "timestamp", False, "the clock 400 days ahead"),
    Experiment("cores", "parallelism", False, "another number of cores"),
    Experiment("directory-order", "ordering", False, "the build directory in memory, where directories are listed in another order"),
    Experiment("build-path", "build-path", False, "another build directory"),
    Experiment("kernel", "host", False, "another kernel release"),
    Experiment("zone", "locale", False, "another time zone"),
)


@dataclass(frozen=True)
class Proof:
    """What one experiment showed of one output. `against` names the outputs' hashes that differ when it is a *vary*."""

    experiment: Experiment
    output: str
    because: str


@dataclass
class Purse:
    """How many rebuilds, and until when (a monotonic clock's reading), one derivation may still be given."""

    rebuilds: int
    deadline: float
    clock: Callable[[], float]

    def take(self) -> bool:
        if self.rebuilds <= 0 or self.clock() >= self.deadline:
            return False
        self.rebuilds -= 1
        return True


#: Rebuild under an experiment's change (None: nothing changed) and give the hashes.
Rebuild = Callable[[Experiment | None], Hashes]


def likeliest_first(experiments: Iterable[Experiment], findings: Sequence[Finding]) -> list[Experiment]:
    """The experiments for causes that the findings name come first, in the findings' order."""
    named = list(dict.fromkeys(finding.cause for finding in findings))
    return sorted(experiments, key=lambda e: named.index(e.cause) if e.cause in named else len(named))


def hold(outputs: Mapping[str, Sequence[str]], experiments: Sequence[Experiment], rebuild: Rebuild, purse: Purse) -> list[Proof]:
    """For outputs that differ by themselves (`outputs`: the hashes seen so far): which thing, held still, makes rebuilds
    the same?

    One more rebuild with nothing changed comes first. A difference that comes and goes, or has few shapes, needs more
    equal rebuilds before they mean anything.
    """
    control = rebuild(None) if purse.take() else None
    if control is None:
        return []
    values = {output: [*seen, control.get(output, "")] for output, seen in outputs.items()}
    times = FEW if all(len(set(seen)) == len(seen) for seen in values.values()) else MANY
    proofs: list[Proof] = []
    left = list(outputs)
    for experiment in experiments:
        held: list[Mapping[str, str]] = []
        while left and len(held) < times and (hashes := rebuild(experiment) if purse.take() else None) is not None:
            held.append(hashes)
            if not _steady(left, held):
                break
        for output in _steady(left, held) if len(held) == times else []:
            proofs.append(Proof(experiment, output, f"with {experiment.what}, {times} rebuilds are the same"))
            left.remove(output)
    return proofs


def _steady(outputs: Sequence[str], held: Sequence[Mapping[str, str]]) -> list[str]:
    """The outputs that are the same in all of these rebuilds."""
    return [output for output in outputs if len({hashes.get(output) for hashes in held}) == 1 and held[0].get(output) is not None]


def vary(outputs: Mapping[str, str], experiments: Sequence[Experiment], rebuild: Rebuild, purse: Purse) -> list[Proof]:
    """For outputs that are the same by themselves (`outputs`: their hash): which thing, changed, makes them differ?

    Each that does is undone once more: if the output then differs too, the change was not the cause.
    """
    proofs: list[Proof] = []
    for experiment in experiments:
        hashes = rebuild(experiment) if purse.take() else None
        if hashes is None:
            continue
        differing = [output for output, was in outputs.items() if hashes.get(output, was) != was]
        if not differing:
            continue
        again = rebuild(None) if purse.take() else None
        if again is None:
            continue
        proofs += [
            Proof(experiment, output, f"it differs with {experiment.what}, and is the same again without")
            for output in differing
            if again.get(output) == outputs[output]
        ]
    return proofs
