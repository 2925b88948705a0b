"""Proof by experiment: rebuild under one controlled condition at a time and see whether the difference comes or goes.
Pure: what to try in which order, and what the outcome proves; the rebuilding is passed in.

Two kinds. *Hold*: the output differs by itself; rebuilds with one thing held still are the same, so that thing is the
cause. *Vary*: the output is the same by itself; with one thing changed it differs, so that thing is the cause.

Each derivation has an inquiry of its own, a generator that asks for one rebuild after the other. They are conducted
together: whatever several want rebuilt in the same way is rebuilt at once.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass

from nix_repro.build.variations import (
    BUILD_PATH,
    CLOCK_FROZEN,
    CLOCK_SHIFTED,
    CORES,
    DIRECTORY_ORDER,
    KERNEL,
    ONE_CPU,
    ZONE,
    Condition,
)
from nix_repro.report import Cause, Finding

#: Equal rebuilds that prove a hold where the difference was another one every time. It is also how often a change has
#: to bring a difference, and its undoing to take it away.
FEW = 3
#: Equal rebuilds that prove a hold at least, where the difference was not another one every time.
MANY = 12
#: How probable equal rebuilds may be by mere chance.
CHANCE = 0.01
#: Rebuilds that one derivation is given.
REBUILDS = 36
#: narHash by output name, or another word for what an experiment left of it; None when that rebuild could not be had.
Hashes = Mapping[str, str] | None


@dataclass(frozen=True)
class Experiment:
    """A rebuild under one condition, and the cause that its outcome can prove. `holds` says which of the two kinds it
    is.

    With `own_time` nothing is changed, and what differs by nothing but each build's own time counts as the same. That
    complements the condition, and means nothing where it cannot be had.
    """

    condition: Condition
    cause: Cause
    holds: bool
    own_time: bool = False

    @property
    def name(self) -> str:
        return "own-time" if self.own_time else self.condition.name

    @property
    def what(self) -> str:
        """Completes "with …"."""
        return "each build's own time taken out" if self.own_time else self.condition.what


HOLDS = (
    Experiment(CLOCK_FROZEN, "timestamp", holds=True),
    # The fake clock does not reach everything: not a file's time, which the kernel sets, nor a static program.
    Experiment(CLOCK_FROZEN, "timestamp", holds=True, own_time=True),
    Experiment(ONE_CPU, "parallelism", holds=True),
)
VARIES = (
    Experiment(CLOCK_SHIFTED, "timestamp", holds=False),
    Experiment(CORES, "parallelism", holds=False),
    Experiment(DIRECTORY_ORDER, "ordering", holds=False),
    Experiment(BUILD_PATH, "build-path", holds=False),
    Experiment(KERNEL, "host", holds=False),
    Experiment(ZONE, "locale", holds=False),
)


@dataclass(frozen=True)
class Proof:
    """What experiments showed of one output."""

    experiment: Experiment
    output: str
    because: str


#: Asks for a rebuild under an experiment's condition (None: nothing changed), is sent the hashes, ends with what it
#: proved.
Inquiry = Generator[Experiment | None, Hashes, list[Proof]]
#: Rebuild these derivations under one condition and give each one's hashes.
Rebuild = Callable[[Experiment | None, Sequence[str]], Mapping[str, Hashes]]


def likeliest_first(experiments: Iterable[Experiment], findings: Sequence[Finding]) -> list[Experiment]:
    """The experiments for causes that the findings name come first, in the findings' order."""
    named = list(dict.fromkeys(finding.cause for finding in findings))
    return sorted(experiments, key=lambda e: named.index(e.cause) if e.cause in named else len(named))


def conduct(
    inquiries: Mapping[str, Inquiry], rebuild: Rebuild, in_time: Callable[[], bool]
) -> tuple[dict[str, list[Proof]], list[str]]:
    """The proofs by derivation, and the derivations whose inquiries were cut short because the time was up.

    What most want next is done first, so that stragglers catch up. An inquiry that has had its REBUILDS gets no more.
    """
    proofs: dict[str, list[Proof]] = {}
    late: dict[str, None] = {}
    stopped = False
    wanted: dict[str, Experiment | None] = {}
    had: Counter[str] = Counter()

    def send(name: str, hashes: Hashes) -> None:
        wanted.pop(name, None)
        try:
            wanted[name] = inquiries[name].send(hashes)
        except StopIteration as end:
            proofs[name] = end.value

    for name in inquiries:
        send(name, None)
    while wanted:
        if not stopped and not in_time():
            stopped = True
            late |= dict.fromkeys(wanted)
        for name in [name for name in wanted if stopped or had[name] >= REBUILDS]:
            send(name, None)
        if wanted and not stopped:
            (experiment, _), *_ = Counter(wanted.values()).most_common(1)
            names = [name for name, next_one in wanted.items() if next_one == experiment]
            had.update(names)
            answers = rebuild(experiment, names)
            if not in_time():
                late |= dict.fromkeys(name for name in names if name not in answers)
            for name in names:
                send(name, answers.get(name))
    return proofs, list(late)


def hold(outputs: Mapping[str, Sequence[str]], experiments: Sequence[Experiment]) -> Inquiry:
    """For outputs that differ by themselves (`outputs`: the hashes seen so far): which thing, held still, makes
    rebuilds the same?

    One more rebuild with nothing changed comes first. A difference that comes and goes, or has few shapes, needs more
    equal rebuilds before they mean anything.
    """
    control = yield None
    if control is None:
        return []
    times = max(_equal_needed([*seen, control.get(output, "")]) for output, seen in outputs.items())
    proofs: list[Proof] = []
    left = list(outputs)
    for experiment in experiments:
        held: list[Mapping[str, str]] = []
        while left and len(held) < times and (hashes := (yield experiment)) is not None:
            held.append(hashes)
            if not _steady(left, held):
                break
        for output in _steady(left, held) if len(held) == times else []:
            proofs.append(Proof(experiment, output, f"with {experiment.what}, {times} rebuilds are the same"))
            left.remove(output)
    return proofs


def _equal_needed(seen: Sequence[str]) -> int:
    """How many equal rebuilds are no accident, for an output that had these hashes with nothing changed."""
    commonest = max(Counter(seen).values())
    return FEW if commonest == 1 else max(MANY, math.ceil(math.log(CHANCE) / math.log(commonest / len(seen))))


def _steady(outputs: Sequence[str], held: Sequence[Mapping[str, str]]) -> list[str]:
    """The outputs that are the same in all of these rebuilds."""
    return [
        output
        for output in outputs
        if len({hashes.get(output) for hashes in held}) == 1 and held[0].get(output) is not None
    ]


def vary(outputs: Mapping[str, str], experiments: Sequence[Experiment], holds: Sequence[Experiment] = ()) -> Inquiry:
    """For outputs that are the same by themselves (`outputs`: their hash): which thing, changed, makes them differ?

    What does is undone and done again: the difference has to come and go with it every time. An output that differs
    with nothing changed is not the same by itself after all: then it is asked what it is held by (`holds`).
    """
    left = {experiment: list(outputs) for experiment in experiments}
    for _ in range(FEW):
        for experiment in [experiment for experiment in left if left[experiment]]:
            changed = yield experiment
            left[experiment] = [
                o for o in left[experiment] if changed is not None and changed.get(o, outputs[o]) != outputs[o]
            ]
        undone = (yield None) if any(left.values()) else None
        if undone is None:
            return []
        intermittent = {
            output: (was, undone[output]) for output, was in outputs.items() if undone.get(output, was) != was
        }
        if intermittent:
            return (yield from hold(intermittent, holds))
    return [
        Proof(experiment, output, f"it differs with {experiment.what}, and is the same again without")
        for experiment, following in left.items()
        for output in following
    ]
