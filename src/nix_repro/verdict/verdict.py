"""Observations → verdicts. Pure: it decides, it does not look."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from nix_repro.build.variations import DEFAULT
from nix_repro.nix.derivation import Derivation
from nix_repro.nix.graph import above
from nix_repro.observations import Attempt, Observations, Seen
from nix_repro.plan.scope import Plan
from nix_repro.reasons import NOT_ISOLATED, NOT_REBUILT, Reason
from nix_repro.report import SEVERITY, Hash, Mark, Verdict


@dataclass(frozen=True)
class JudgedOutput:
    """One output's verdict with its reason (never None when `unverified`), and the contents that were seen of it."""

    path: str | None
    verdict: Verdict
    reason: Reason | None = None
    hashes: tuple[Hash, ...] = ()


@dataclass(frozen=True)
class Judged:
    """A derivation's verdict with its marks, its reason (never None when `unverified`), and its outputs'. Of `rebuilds`
    that left something to compare, so many `differed` in some output."""

    verdict: Verdict
    outputs: Mapping[str, JudgedOutput]
    marks: tuple[Mark, ...] = ()
    reason: Reason | None = None
    rebuilds: int = 0
    differed: int = 0


def judge_all(
    plan: Plan, seen: Observations, unfinished: Reason = NOT_REBUILT, heirs: Collection[str] = ()
) -> dict[str, Judged]:
    """The verdict on every target. `unfinished` is the reason for what was never rebuilt; `heirs` are known to differ
    with their inputs."""
    whole = judge_whole_set(plan, seen, unfinished)
    dependent = set(dependent_divergences(plan, whole))
    judged = {
        drv_path: _isolated(plan.derivations[drv_path], found, seen) if drv_path in dependent else found
        for drv_path, found in whole.items()
    }
    if heirs:
        divergent = {drv_path for drv_path, found in judged.items() if found.verdict == "divergent"}
        for drv_path in above(plan.derivations, divergent).intersection(heirs, judged):
            if judged[drv_path].verdict == "reproducible":
                judged[drv_path] = replace(judged[drv_path], marks=("propagated",))
    return judged


def judge_whole_set(plan: Plan, seen: Observations, unfinished: Reason = NOT_REBUILT) -> dict[str, Judged]:
    """What the rebuilds of everything together say, before roots and victims are told apart."""
    return {drv_path: _whole_set(plan.derivations[drv_path], seen, unfinished) for drv_path in plan.targets}


def dependent_divergences(plan: Plan, judged: Mapping[str, Judged]) -> list[str]:
    """The divergent targets that have a divergent one among their inputs, however far below: they may be victims.

    Not only direct inputs: an input with equal content may refer to one that differs, and the builder can read that.
    """
    divergent = {drv_path for drv_path, verdict in judged.items() if verdict.verdict == "divergent"}
    victims = divergent & above(plan.derivations, divergent)
    return [drv_path for drv_path in plan.targets if drv_path in victims]


def _whole_set(drv: Derivation, seen: Observations, unfinished: Reason) -> Judged:
    first = seen.first(drv.drv_path)
    if first is None:
        return _all(drv, "unverified", unfinished)
    if first.status == "failed":
        return _all(drv, "build-failed", first.because)
    if not first.outputs:
        return _all(drv, "unverified", first.because or unfinished)
    rebuilds = seen.rebuilds(drv.drv_path, isolated=False)
    return _combine(drv, first, rebuilds, unfinished)


def _isolated(drv: Derivation, judged: Judged, seen: Observations) -> Judged:
    """Its inputs differed in the whole-set rebuild: what counts is the rebuild with the first build's inputs."""
    first = seen.first(drv.drv_path)
    alone = seen.rebuilds(drv.drv_path, isolated=True)
    if first is None or not alone:
        return _with_reason(judged, NOT_ISOLATED)
    result = _combine(drv, first, alone, NOT_ISOLATED)
    # The whole-set hashes stay visible: they are why the derivation was looked at twice.
    outputs = {
        name: replace(out, hashes=_unique((*judged.outputs[name].hashes, *out.hashes)))
        for name, out in result.outputs.items()
    }
    marks: tuple[Mark, ...] = ("propagated",) if result.verdict == "reproducible" else result.marks
    return replace(result, outputs=outputs, marks=marks)


def _combine(drv: Derivation, first: Attempt, rebuilds: Sequence[Attempt], unfinished: Reason) -> Judged:
    outputs: dict[str, JudgedOutput] = {}
    intermittent = False
    for name in drv.outputs:
        was = first.outputs[name]
        again = [attempt for attempt in rebuilds if name in attempt.outputs]
        different = sum(attempt.differs(name, first) for attempt in again)
        intermittent = intermittent or _intermittent(name, first, again)
        verdict, reason = _output_verdict(name, rebuilds, unfinished, different=different > 0)
        builds = [build for attempt in again for build in (attempt.against, attempt) if build is not None]
        seen = [build.outputs[name] for build in builds if name in build.outputs]
        outputs[name] = JudgedOutput(was.path, verdict, reason, _unique(_hash(one) for one in (was, *seen)))
    worst = min((o.verdict for o in outputs.values()), key=SEVERITY.index)
    reason = next((o.reason for o in outputs.values() if o.verdict == worst), None)
    compared = [attempt for attempt in rebuilds if attempt.outputs and not attempt.copied]
    differed = sum(any(attempt.differs(name, first) for name in attempt.outputs) for attempt in compared)
    # It fails now and then, and not always.
    if worst == "rebuild-failed":
        intermittent = any(not attempt.recalled for attempt in compared) or any(a.round == 1 for a in rebuilds)
    return Judged(worst, outputs, ("intermittent",) if intermittent else (), reason, len(compared), differed)


def _intermittent(name: str, first: Attempt, again: Sequence[Attempt]) -> bool:
    """Whether some of this run's rebuilds differ and some do not, or, over all runs, a content came back. A first build
    that nobody saw is none, but a copy of one."""
    now = [attempt for attempt in again if not attempt.recalled]
    # What differs under a variation, and not without, need not come and go.
    for varied in {_varied(attempt) for attempt in now}:
        alike = [attempt.differs(name, first) for attempt in now if _varied(attempt) == varied]
        if 0 < sum(alike) < len(alike):
            return True
    # Nobody knows when what was found had been built.
    dated = [(attempt.started, attempt) for attempt in again if attempt.recalled and attempt.started is not None]
    before = [attempt for _, attempt in sorted(dated, key=lambda pair: pair[0])]
    builds = [*before, *([first] if first.status == "built" else []), *now] if before else []
    plain = [build.outputs[name].nar_hash for build in builds if not _varied(build)]
    contents = [content for content, _ in groupby(plain)]
    return len(contents) > len(set(contents))


def _varied(attempt: Attempt) -> frozenset[str]:
    """What was held different, and would not be the same to every honest build."""
    return frozenset(attempt.varied) - {*DEFAULT}


def _output_verdict(
    name: str, rebuilds: Sequence[Attempt], unfinished: Reason, *, different: bool
) -> tuple[Verdict, Reason | None]:
    if different:
        return "divergent", None
    failed = next((a for a in rebuilds if a.status == "failed"), None)
    if failed is not None:
        return "rebuild-failed", failed.because
    missing = next((a.missing.get(name, unfinished) for a in rebuilds if name not in a.outputs), None)
    if missing is not None or not rebuilds:
        return "unverified", missing or unfinished
    return "reproducible", None


def _hash(seen: Seen) -> Hash:
    return Hash(nar_hash=seen.nar_hash, source=seen.source, origin=seen.origin)


def _unique(hashes: Iterable[Hash]) -> tuple[Hash, ...]:
    return tuple(dict.fromkeys(hashes))


def _all(drv: Derivation, verdict: Verdict, reason: Reason | None) -> Judged:
    outputs = {name: JudgedOutput(output.path, verdict, reason) for name, output in drv.outputs.items()}
    return Judged(verdict, outputs, reason=reason)


def _with_reason(judged: Judged, reason: Reason) -> Judged:
    outputs = {
        name: replace(out, verdict="unverified", reason=reason) if out.verdict == "divergent" else out
        for name, out in judged.outputs.items()
    }
    return Judged("unverified", outputs, reason=reason)


def not_rebuilt(drv: Derivation, seen: Observations, reason: Reason) -> Judged:
    """The verdict on what was not to be looked at (fixed-output, out of scope), unless it could not even be built."""
    return _all(drv, "unverified", reason) if seen.first(drv.drv_path) is None else _whole_set(drv, seen, reason)


def stale(drv: Derivation, reason: Reason) -> Judged:
    """What is there of a fixed-output derivation, and is not to be had again."""
    return _all(drv, "rebuild-failed", reason)
