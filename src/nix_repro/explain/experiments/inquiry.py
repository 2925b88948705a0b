"""Proof by experiment: rebuild under one controlled condition at a time and see whether the difference comes or goes.
Pure: what to try in which order, and what the outcome proves; the rebuilding is passed in.

Two kinds. *Hold*: the output differs by itself; rebuilds with one thing held still are the same, so that thing is the
cause. *Vary*: the output is the same by itself; with one thing changed it differs, so that thing is the cause.

What brings a condition about leaves traces of its own. So most experiments have a placebo, the same means without the
effect: what it does as well proves nothing.

Each derivation has an inquiry of its own, a generator that asks for one rebuild after the other. They are conducted
together: whatever several want rebuilt in the same way is rebuilt at once.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from nix_repro.build.variations import (
    BUILD_PATH,
    CLOCK_FROZEN,
    CLOCK_SHIFTED,
    CORES,
    DIRECTORY_ORDER,
    FEWER_PROCESSORS,
    FUTURE,
    KERNEL,
    MORE_CORES,
    NICE,
    ONE_CPU,
    PLACEBOS,
    ZONE,
    Condition,
)
from nix_repro.report import Cause, Finding

#: Equal rebuilds that prove a hold where the difference was another one every time and the rules see one cause alone.
#: It is also how often a change has to bring a difference, and its undoing to take it away.
FEW = 3
#: Equal rebuilds that prove a hold at least, where the difference was not another one every time, or where the rules do
#: not account for all of it: beside a time that is always new, a coin that is tossed goes unnoticed.
MANY = 12
#: How probable equal rebuilds may be by mere chance.
CHANCE = 0.01
#: Rebuilds that one derivation is given.
REBUILDS = 36
#: narHash by output name, or another word for what an experiment left of it; None when that rebuild could not be had.
Hashes = Mapping[str, str] | None
#: Stands for the narHash of an output whose builder failed.
FAILED = "the builder failed"


@dataclass(frozen=True)
class Experiment:
    """A rebuild under one condition, and the cause that its outcome can prove. `holds` says which of the two kinds it
    is.

    With `own_time` nothing is changed, and what differs by nothing but each build's own time counts as the same. That
    complements the condition, and means nothing where it cannot be had. With `blunt`, the condition changes other
    things as well, and no placebo can tell: it proves the cause only where the rules see that one, and nothing else.
    """

    condition: Condition
    cause: Cause
    holds: bool
    own_time: bool = False
    blunt: bool = False

    @property
    def name(self) -> str:
        return "own-time" if self.own_time else self.condition.name

    @property
    def what(self) -> str:
        """Completes "with …"."""
        return "each build's own time taken out" if self.own_time else self.condition.what

    @property
    def placebo(self) -> Experiment | None:
        """The same means without the effect, if the means leave traces."""
        same = None if self.own_time else PLACEBOS.get(self.condition.name)
        return None if same is None else replace(self, condition=same)

    @property
    def is_placebo(self) -> bool:
        return self.condition in PLACEBOS.values()


HOLDS = (
    Experiment(CLOCK_FROZEN, "timestamp", holds=True),
    # The fake clock does not reach everything: not a file's time, which the kernel sets, nor a static program.
    Experiment(CLOCK_FROZEN, "timestamp", holds=True, own_time=True),
    Experiment(ONE_CPU, "parallelism", holds=True),
)
VARIES = (
    Experiment(CLOCK_SHIFTED, "timestamp", holds=False),
    Experiment(CORES, "parallelism", holds=False),
    # Memory and a disk also differ in sizes, and in the numbers of files.
    Experiment(DIRECTORY_ORDER, "ordering", holds=False, blunt=True),
    Experiment(BUILD_PATH, "build-path", holds=False),
    Experiment(KERNEL, "host", holds=False),
    Experiment(ZONE, "locale", holds=False),
)
#: What else rebuilds are given.
OTHERS = (
    Experiment(MORE_CORES, "parallelism", holds=False),
    Experiment(FEWER_PROCESSORS, "parallelism", holds=False),
    Experiment(NICE, "environment", holds=False),
    Experiment(FUTURE, "timestamp", holds=False),
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


def hold(
    outputs: Mapping[str, Sequence[str]], experiments: Sequence[Experiment], findings: Sequence[Finding] = ()
) -> Inquiry:
    """For outputs that differ by themselves (`outputs`: the hashes seen so far): which thing, held still, makes
    rebuilds the same?

    One more rebuild with nothing changed comes first. A difference that comes and goes, has few shapes, or is not all
    accounted for by the `findings`, needs more equal rebuilds before they mean anything.
    """
    control = yield None
    if control is None:
        return []
    proofs: list[Proof] = []
    left = list(outputs)
    for experiment in experiments:
        if not left:
            break
        times = max(_equal_needed([*outputs[o], control.get(o, "")], experiment, o, findings) for o in left)
        steady = yield from _repeat(experiment, left, times)
        if steady and experiment.placebo is not None:
            # Whether it is steady with the placebo is found out as thoroughly: what differs once, differs.
            still = yield from _repeat(experiment.placebo, steady, times)
            steady = [output for output in steady if still is not None and output not in still]
        for output in steady or ():
            also = f", and with {experiment.placebo.what} they are not" if experiment.placebo else ""
            proofs.append(Proof(experiment, output, f"with {experiment.what}, {times} rebuilds are the same{also}"))
            left.remove(output)
    return proofs


def _repeat(
    experiment: Experiment, outputs: Sequence[str], times: int
) -> Generator[Experiment | None, Hashes, list[str] | None]:
    """The outputs that are the same in so many rebuilds under the experiment's condition, or None when these cannot all
    be had."""
    held: list[Mapping[str, str]] = []
    while len(held) < times:
        hashes = yield experiment
        if hashes is None:
            return None
        held.append(hashes)
        if not _steady(outputs, held):
            return []
    return _steady(outputs, held)


def _equal_needed(seen: Sequence[str], experiment: Experiment, output: str, findings: Sequence[Finding]) -> int:
    """How many equal rebuilds are no accident, for an output that had these hashes with nothing changed."""
    commonest = max(Counter(seen).values())
    if commonest > 1:
        return max(MANY, math.ceil(math.log(CHANCE) / math.log(commonest / len(seen))))
    return FEW if accounted(findings, output, experiment.cause) else MANY


def accounted(findings: Sequence[Finding], output: str, cause: Cause) -> bool:
    """Do the findings account for all that differs in the output, and surely, by this cause alone?"""
    of_output = [finding for finding in findings if finding.output == output]
    return bool(of_output) and all(
        finding.cause == cause and finding.confidence in ("high", "proved") for finding in of_output
    )


def _steady(outputs: Sequence[str], held: Sequence[Mapping[str, str]]) -> list[str]:
    """The outputs that are the same in all of these rebuilds."""
    return [
        output
        for output in outputs
        if len({hashes.get(output) for hashes in held}) == 1 and held[0].get(output) not in (None, FAILED)
    ]


def vary(outputs: Mapping[str, str], experiments: Sequence[Experiment], holds: Sequence[Experiment] = ()) -> Inquiry:
    """For outputs that are the same by themselves (`outputs`: their hash): which thing, changed, makes them differ?

    What does is undone and done again: the difference has to come and go with it every time, and never to come with its
    placebo. An output that differs with nothing changed is not the same by itself after all: then it is asked what it
    is held by (`holds`).
    """
    left = {experiment: list(outputs) for experiment in experiments}
    failed: set[Experiment] = set()
    for _ in range(FEW):
        for experiment in [experiment for experiment in left if left[experiment]]:
            changed = yield experiment
            left[experiment] = _others(left[experiment], outputs, changed)
            if changed is not None and FAILED in changed.values():
                failed.add(experiment)
            if left[experiment] and experiment.placebo is not None:
                same = yield experiment.placebo
                also = left[experiment] if same is None else _others(left[experiment], outputs, same)
                left[experiment] = [output for output in left[experiment] if output not in also]
        undone = (yield None) if any(left.values()) else None
        if undone is None or FAILED in undone.values():
            return []
        intermittent = {
            output: (was, undone[output]) for output, was in outputs.items() if undone.get(output, was) != was
        }
        if intermittent:
            return (yield from hold(intermittent, holds))
    return [
        Proof(
            experiment,
            output,
            f"it differs with {experiment.what}, and is the same again without"
            + (f", also with {experiment.placebo.what}" if experiment.placebo else ""),
        )
        for experiment, following in left.items()
        if experiment not in failed
        for output in following
    ]


def which(outputs: Mapping[str, str], experiments: Sequence[Experiment]) -> Inquiry:
    """For outputs that differed in a rebuild with all of these things changed (`outputs`: their hash in the build):
    which of them makes them differ? None has to, if they differ with nothing changed as well."""
    same = yield None
    if same is None:
        return []
    left = {output: was for output, was in outputs.items() if same.get(output) == was}
    return (yield from vary(left, experiments)) if left else []


def _others(outputs: Sequence[str], were: Mapping[str, str], now: Hashes) -> list[str]:
    """The outputs that are now others than they were; none if nothing is known."""
    return [output for output in outputs if now is not None and now.get(output, were[output]) != were[output]]
