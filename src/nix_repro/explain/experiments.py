"""Proof by experiment: rebuild under one controlled change at a time and see whether the difference comes or goes. Pure:
what to try in which order, and what the outcome proves; the rebuilding is passed in.

Two kinds. *Hold*: the output differs by itself; two rebuilds with one thing held still are the same, so that thing is the
cause. *Vary*: the output is the same by itself; with one thing changed it differs, so that thing is the cause.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from nix_repro.report import Cause, Finding

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


def hold(outputs: Sequence[str], experiments: Sequence[Experiment], rebuild: Rebuild, purse: Purse, times: int = 2) -> list[Proof]:
    """For outputs that differ by themselves: which thing, held still, makes `times` rebuilds the same?

    `times` is larger for differences that come and go: two equal rebuilds would say little there.
    """
    proofs: list[Proof] = []
    open_outputs = list(outputs)
    for experiment in experiments:
        if not open_outputs:
            break
        seen: list[Mapping[str, str]] = []
        for _ in range(times):
            hashes = rebuild(experiment) if purse.take() else None
            if hashes is None:
                break
            seen.append(hashes)
            if all(len({found.get(output) for found in seen}) > 1 for output in open_outputs):
                break  # no output is the same: further rebuilds prove nothing
        if len(seen) < times:
            continue
        for output in list(open_outputs):
            if len({found.get(output) for found in seen}) == 1 and output in seen[0]:
                count = "two" if times == 2 else str(times)
                proofs.append(Proof(experiment, output, f"with {experiment.what}, {count} rebuilds are the same"))
                open_outputs.remove(output)
    return proofs


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
