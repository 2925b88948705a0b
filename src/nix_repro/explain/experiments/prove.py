"""Proves causes by experiment: first for what diverges, then, if that was asked for, for what is the same so far."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from nix_repro.build.variations import CLOCK_FROZEN
from nix_repro.explain import printable
from nix_repro.explain.causes.fixes import fix_for
from nix_repro.explain.engine import CUT
from nix_repro.explain.experiments.inquiry import (
    HOLDS,
    VARIES,
    Experiment,
    Inquiry,
    Proof,
    conduct,
    hold,
    likeliest_first,
    vary,
)
from nix_repro.explain.experiments.laboratory import Laboratory
from nix_repro.explain.roots import explain_roots
from nix_repro.observations import Attempt, Observations, Tree
from nix_repro.report import Cause, Confidence, Finding
from nix_repro.text import plural, some

#: Causes that describe what the bytes look like. Where these come from is another question, which an experiment may
#: answer.
_SHAPES: tuple[Cause, ...] = ("archive-metadata", "permissions")

#: Causes that a rule names of the same units in another order; with as many cores on both sides it names none else so.
_ORDERS: tuple[Cause, ...] = ("ordering", "parallelism")


@dataclass(frozen=True)
class Found:
    """What a stage of the experiments came to: findings by .drv path, which replace those that were there; rebuilds
    with nothing changed and the trees of what differs in them, which count for the verdict; and what to tell the
    user."""

    findings: Mapping[str, tuple[Finding, ...]] = field(default_factory=dict)
    attempts: tuple[Attempt, ...] = ()
    trees: Mapping[tuple[str, str], Tree] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


#: Findings by .drv path.
Findings = Mapping[str, Sequence[Finding]]
#: Says what is done at the moment.
Say = Callable[[str], None]


def experiment(
    laboratory: Laboratory,
    seen: Observations,
    findings: Findings,
    roots: Sequence[str],
    steady: Sequence[str],
    say: Say,
    stopped: Callable[[], bool],
) -> Iterator[Found]:
    """Experiment on the divergent roots, then on the named derivations in `steady`, which are the same so far, while
    the budget lasts. Each stage is handed over when it is done."""
    held, late = _hold(laboratory, seen, findings, roots, say)
    yield held
    varied, later = _vary(laboratory, seen, findings, steady, say, stopped)
    yield varied
    yield Found(warnings=tuple(warnings(laboratory, [*late, *later])))


def warnings(laboratory: Laboratory, late: Sequence[str]) -> Iterator[str]:
    yield from _failures(laboratory)
    if late:
        names = some([laboratory.plan.derivations[path].name for path in late], 5)
        yield (
            f"{plural(len(late), 'derivation')} did not get all experiments, because the time was up "
            f"(explain-budget): {names}"
        )
    if laboratory.refused:
        reasons = "; ".join(f"{name} ({reason})" for name, reason in sorted(laboratory.refused.items()))
        yield f"experiments that this machine cannot do: {reasons}"


def _failures(laboratory: Laboratory) -> Iterator[str]:
    """What does not build under a condition: nobody else would say so, since there is nothing to compare."""
    by_path: dict[str, list[str]] = {}
    for (condition, path), count in laboratory.died.items():
        what = condition.what if condition is not None else "nothing changed"
        done = plural(laboratory.done[condition, path], "rebuild")
        by_path.setdefault(path, []).append(f"with {what} ({count} of {done})")
    for path, whats in by_path.items():
        last = printable.escape(laboratory.last_words[path][:200])
        yield f"{laboratory.plan.derivations[path].name} fails to build {', '.join(whats)}" + (last and f": {last}")


def _hold(
    laboratory: Laboratory, seen: Observations, findings: Findings, roots: Sequence[str], say: Say
) -> tuple[Found, list[str]]:
    """Find out which conditions, held still, make the divergent roots the same. Also returns the roots there was no
    time for."""
    tried = possible(laboratory, HOLDS)
    inquiries = {
        path: hold(differing, likeliest_first(tried, known := findings.get(path, ())), known)
        for path in roots
        if (differing := _differing(seen, path))
    }
    proofs, late = carry_out(laboratory, inquiries, say, steady=False)
    result: dict[str, tuple[Finding, ...]] = {}
    for path, found in proofs.items():
        if path in findings:
            result[path] = proved(findings[path], found)
        if (CLOCK_FROZEN.name, path) in laboratory.answered:
            result[path] = _unfrozen(result.get(path, findings.get(path, ())))
    return Found(result), late


def _vary(
    laboratory: Laboratory,
    seen: Observations,
    findings: Findings,
    steady: Sequence[str],
    say: Say,
    stopped: Callable[[], bool],
) -> tuple[Found, list[str]]:
    """Find out which conditions, changed, make reproducible outputs differ. Also returns the derivations there was no
    time for."""
    first = laboratory.first
    experiments, holds = possible(laboratory, VARIES), possible(laboratory, HOLDS)
    inquiries = {
        path: vary({o: output.nar_hash for o, output in first[path].outputs.items()}, experiments, holds)
        for path in steady
    }
    proofs, late = carry_out(laboratory, inquiries, say, steady=True)
    attempts = tuple(attempt for attempt, _ in laboratory.intermittent.values())
    trees = {key: tree for _, kept in laboratory.intermittent.values() for key, tree in kept.items()}
    explained = explain_roots(
        laboratory.plan, list(laboratory.intermittent), seen.with_more(attempts, trees), laboratory.here, stopped
    )
    result = dict(explained.findings)
    for path, found in proofs.items():
        own = proved(result.get(path, findings.get(path, ())), [proof for proof in found if proof.experiment.holds])
        changed = [p for p in found if not p.experiment.holds]
        sensitive = [
            new
            for p in changed
            for new in proved(laboratory.sensitive.get((p.experiment.name, path, p.output), ()), [p])
        ]
        if own or sensitive:
            result[path] = (*own, *sensitive)
    return Found(result, attempts, trees), late


def carry_out(
    laboratory: Laboratory, inquiries: Mapping[str, Inquiry], say: Say, *, steady: bool
) -> tuple[dict[str, list[Proof]], list[str]]:
    def rebuild(one: Experiment | None, drv_paths: Sequence[str]) -> Mapping[str, Mapping[str, str] | None]:
        under = one.what if one else "nothing changed"
        say(f"experiment: rebuilding {plural(len(drv_paths), 'derivation')} with {under}")
        return laboratory.rebuild(one, drv_paths, steady)

    return conduct(inquiries, rebuild, laboratory.in_time)


def possible(laboratory: Laboratory, experiments: Sequence[Experiment]) -> list[Experiment]:
    return [e for e in experiments if laboratory.condition(e) is not None]


def proved(findings: Sequence[Finding], proofs: Sequence[Proof]) -> tuple[Finding, ...]:
    """The findings with proofs applied. If all differences of an output disappear with one condition, that is the cause
    of each, whatever a rule took it for: a token that looks random may come from the clock."""
    by_output = {proof.output: proof for proof in proofs}
    blunt = {
        finding.output
        for finding in findings
        if (proof := by_output.get(finding.output)) and proof.experiment.blunt and finding.cause not in _ORDERS
    }
    result = []
    for finding in findings:
        if (proof := by_output.get(finding.output)) is None or finding.because.startswith(CUT):
            result.append(finding)
        elif finding.output in blunt:
            result.append(_likely(finding, proof))
        else:
            result.append(_proved(finding, proof))
    return tuple(sorted(result, key=lambda finding: finding.derived_from is not None))


def _likely(finding: Finding, proof: Proof) -> Finding:
    """What the condition brings about, although it need not be the cause that it was chosen for."""
    because = f"{finding.because}; {proof.because}"
    if finding.confidence == "high" or finding.cause == proof.experiment.cause:
        return msgspec.structs.replace(finding, because=because)
    return _recast(finding, proof.experiment.cause, "low", because)


def _proved(finding: Finding, proof: Proof) -> Finding:
    cause, because = proof.experiment.cause, f"proved: {proof.because}"
    if finding.cause in (cause, *_SHAPES):
        # The fix of the rule remains valid: it makes this place the same wherever its content comes from.
        return msgspec.structs.replace(
            finding, cause=cause, confidence="proved", because=f"{finding.because}; {because}"
        )
    return _recast(finding, cause, "proved", because)


def _recast(finding: Finding, cause: Cause, confidence: Confidence, because: str) -> Finding:
    """The finding with another cause, and the advice for that."""
    fix = fix_for(cause, "")
    return msgspec.structs.replace(
        finding, cause=cause, confidence=confidence, because=because, fix=fix.advice, snippet=fix.snippet
    )


def _unfrozen(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """Say of a time stamp that the frozen clock did not hold it, and why that may be."""
    said = (
        "it still differs with the clock frozen: a static program does not see the fake clock, or something else "
        "differs as well"
    )
    return tuple(
        msgspec.structs.replace(finding, because=f"{finding.because}; {said}")
        if finding.cause == "timestamp" and finding.confidence == "high" and finding.derived_from is None
        else finding
        for finding in findings
    )


def _differing(seen: Observations, drv_path: str) -> dict[str, list[str]]:
    """The narHashes seen of each output that differs by itself, the first build's first."""
    first = seen.first(drv_path)
    assert first is not None
    again = seen.rebuilds(drv_path, isolated=True) or seen.rebuilds(drv_path, isolated=False)
    found: dict[str, list[str]] = {}
    for name, was in first.outputs.items():
        hashes = [was.nar_hash, *(a.outputs[name].nar_hash for a in again if name in a.outputs)]
        if len(set(hashes)) > 1:
            found[name] = hashes
    return found
