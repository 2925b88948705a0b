"""Rebuilds that look for reasons: of what differed only with variations, and for proofs of causes."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from nix_repro.build.rebuild.protocol import Rebuilder
from nix_repro.explain.experiments.laboratory import Laboratory
from nix_repro.explain.experiments.naming import doubtful, name_variations
from nix_repro.explain.experiments.prove import Found, experiment
from nix_repro.plan.scope import Plan
from nix_repro.run import Run
from nix_repro.stages.remember import remember


def conduct_experiments(
    run: Run, plan: Plan, rebuilder: Rebuilder, roots: Sequence[str], steady: Sequence[str]
) -> None:
    """Name the variations that differences need, then have causes proved if that is asked for. What one stage of it
    finds is kept at once, because the next may be interrupted."""
    asked = run.config.explain != "rules"
    wanted = _varied(run, roots)
    if not (asked or wanted):
        return
    if not rebuilder.varies:
        run.warn(f"no experiments: they need the shadow rebuilder, and this run used {rebuilder.name}")
        return
    run.rebuilder = rebuilder
    laboratory = Laboratory(
        rebuilder,
        plan,
        run.seen.built(),
        settings=run.nix.settings(),
        limits=run.limits,
        round_number=run.config.rounds + 1,
        directory=run.work / "experiments",
        machine=run.machine,
        deadline=time.monotonic() + run.config.explain_budget,
        watcher=run.display,
    )
    say, stopped = run.display.phase, run.nix.processes.stopped
    named = Found()
    if wanted:
        applied = run.varied.applied
        named = name_variations(laboratory, run.seen, run.findings, wanted, applied, say, stopped, thorough=asked)
        _take(run, plan, named)
    if asked:
        # What is the same without variations has nothing that could be held still.
        anyway = {attempt.drv_path for attempt in named.attempts}
        own = [path for path in roots if path not in wanted or path in anyway]
        for found in experiment(laboratory, run.seen, run.findings, own, steady, say, stopped):
            _take(run, plan, found)


def _varied(run: Run, roots: Sequence[str]) -> dict[str, Mapping[str, str]]:
    """What may differ, or not build, because of what was varied: the first build's narHashes of such outputs, by .drv
    path."""
    found: dict[str, Mapping[str, str]] = {}
    for path in (*roots, *run.stopping):
        first = run.seen.first(path)
        assert first is not None
        differing = {
            name: seen.nar_hash
            for attempt in run.seen.attempts[path]
            if attempt.varied and not attempt.recalled
            for name, seen in first.outputs.items()
            if name in attempt.outputs and attempt.differs(name, first)
        }
        if path in run.stopping:
            found[path] = {name: seen.nar_hash for name, seen in first.outputs.items()}
        elif differing and doubtful(run.findings.get(path, ()), differing, run.varied.applied):
            found[path] = differing
    return found


def _take(run: Run, plan: Plan, found: Found) -> None:
    run.findings |= found.findings
    for warning in found.warnings:
        run.warn(warning)
    if found.attempts:
        # Nothing was changed in these rebuilds, so they count for the verdict like any other.
        run.seen.add(found.attempts)
        run.seen.trees.update(found.trees)
        remember(run, plan)
        run.judge()
