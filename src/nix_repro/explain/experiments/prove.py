"""Proves causes by experiment: first for what diverges, then, if that was asked for, for what is the same so far."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

import msgspec

from nix_repro.build.variations import CLOCK_FROZEN
from nix_repro.explain.causes.fixes import fix_for
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
from nix_repro.explain.roots import explain_all, surroundings
from nix_repro.observations import Observations
from nix_repro.plan.scope import Plan
from nix_repro.report import Cause, Finding
from nix_repro.run import Run
from nix_repro.text import plural, some

#: Causes that describe what the bytes look like. Where these come from is another question, which an experiment may
#: answer.
_SHAPES: tuple[Cause, ...] = ("archive-metadata", "permissions")


def experiment(run: Run, plan: Plan, roots: Sequence[str], steady: Sequence[str]) -> None:
    """Experiment on the divergent roots, then on the named derivations in `steady`, which are the same so far, while
    the budget lasts."""
    if run.rebuilder is None or not run.rebuilder.varies:
        run.warn(
            "no experiments: they need the shadow rebuilder, and this run used "
            f"{run.rebuilder.name if run.rebuilder else 'none'}"
        )
        return
    laboratory = Laboratory(run, plan, run.rebuilder, time.monotonic() + run.config.explain_budget)
    late = [*_hold(run, laboratory, roots), *_vary(run, plan, laboratory, steady)]
    if late:
        names = some([plan.derivations[path].name for path in late], 5)
        run.warn(
            f"{plural(len(late), 'derivation')} did not get all experiments, because the time was up "
            f"(explain-budget): {names}"
        )
    if laboratory.refused:
        reasons = "; ".join(f"{name} ({reason})" for name, reason in sorted(laboratory.refused.items()))
        run.warn(f"experiments that this machine cannot do: {reasons}")


def _hold(run: Run, laboratory: Laboratory, roots: Sequence[str]) -> list[str]:
    """Find out which conditions, held still, make the divergent roots the same. Returns the roots there was no time
    for."""
    tried = _possible(laboratory, HOLDS)
    inquiries = {
        path: hold(differing, likeliest_first(tried, run.findings.get(path, ())))
        for path in roots
        if (differing := _differing(run.seen, path))
    }
    proofs, late = _conduct(run, laboratory, inquiries, steady=False)
    for path, found in proofs.items():
        if path in run.findings:
            run.findings[path] = proved(run.findings[path], found)
        if (CLOCK_FROZEN.name, path) in laboratory.answered:
            run.findings[path] = _unfrozen(run.findings.get(path, ()))
    return late


def _vary(run: Run, plan: Plan, laboratory: Laboratory, steady: Sequence[str]) -> list[str]:
    """Find out which conditions, changed, make reproducible outputs differ. Returns the derivations there was no time
    for."""
    first = run.seen.built()
    experiments, holds = _possible(laboratory, VARIES), _possible(laboratory, HOLDS)
    inquiries = {
        path: vary({o: seen.nar_hash for o, seen in first[path].outputs.items()}, experiments, holds) for path in steady
    }
    proofs, late = _conduct(run, laboratory, inquiries, steady=True)
    for attempt, trees in laboratory.intermittent.values():
        # Nothing was changed, so this rebuild counts for the verdict like any other.
        run.seen.add([attempt])
        run.seen.trees.update(trees)
    here = surroundings(run.nix.settings(), run.config.cores)
    run.findings |= explain_all(
        plan, list(laboratory.intermittent), run.seen, here, run.warn, run.nix.processes.stopped
    )
    for path, found in proofs.items():
        own = proved(run.findings.get(path, ()), [proof for proof in found if proof.experiment.holds])
        changed = [p for p in found if not p.experiment.holds]
        sensitive = [
            new
            for p in changed
            for new in proved(laboratory.sensitive.get((p.experiment.name, path, p.output), ()), [p])
        ]
        if own or sensitive:
            run.findings[path] = (*own, *sensitive)
    return late


def _conduct(
    run: Run, laboratory: Laboratory, inquiries: Mapping[str, Inquiry], *, steady: bool
) -> tuple[dict[str, list[Proof]], list[str]]:
    def rebuild(one: Experiment | None, drv_paths: Sequence[str]) -> Mapping[str, Mapping[str, str] | None]:
        run.display.phase(
            f"experiment: rebuilding {plural(len(drv_paths), 'derivation')} with "
            f"{one.what if one else 'nothing changed'}"
        )
        return laboratory.rebuild(one, drv_paths, steady)

    return conduct(inquiries, rebuild, laboratory.in_time)


def _possible(laboratory: Laboratory, experiments: Sequence[Experiment]) -> list[Experiment]:
    return [e for e in experiments if laboratory.condition(e) is not None]


def proved(findings: Sequence[Finding], proofs: Sequence[Proof]) -> tuple[Finding, ...]:
    """The findings with proofs applied. If all differences of an output disappear with one condition, that is the cause
    of each, whatever a rule took it for: a token that looks random may come from the clock."""
    by_output = {proof.output: proof for proof in proofs}
    result = [
        _proved(finding, by_output[finding.output]) if finding.output in by_output else finding for finding in findings
    ]
    return tuple(sorted(result, key=lambda finding: finding.derived_from is not None))


def _proved(finding: Finding, proof: Proof) -> Finding:
    cause, because = proof.experiment.cause, f"proved: {proof.because}"
    if finding.cause == cause:
        return msgspec.structs.replace(finding, confidence="proved", because=f"{finding.because}; {because}")
    if finding.cause in _SHAPES:
        # The fix of the rule remains valid: it makes this place the same wherever its content comes from.
        return msgspec.structs.replace(
            finding, cause=cause, confidence="proved", because=f"{finding.because}; {because}"
        )
    fix = fix_for(cause, "")
    return msgspec.structs.replace(
        finding, cause=cause, confidence="proved", because=because, fix=fix.advice, snippet=fix.snippet
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
