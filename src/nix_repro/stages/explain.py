"""Why the divergent roots differ, and what experiments prove."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from nix_repro.build.build_dir import usual
from nix_repro.build.rebuild.protocol import Rebuilder
from nix_repro.nix.command import NixError
from nix_repro.plan.scope import Plan
from nix_repro.run import Run
from nix_repro.stages.remember import remember
from nix_repro.text import plural, some


def explain_divergences(run: Run, plan: Plan, rebuilder: Rebuilder) -> None:
    config = run.config
    roots = [path for path, judged in run.verdicts.items() if judged.verdict == "divergent"]
    named = dict.fromkeys(plan.installables.values())
    same = [path for path in named if path in run.verdicts and run.verdicts[path].verdict == "reproducible"]
    steady = same if config.explain == "variations" else []
    if config.explain == "off" or not (roots or steady):
        return
    # Late: most runs have nothing to explain.
    from nix_repro.explain.roots import explain_roots
    from nix_repro.explain.surroundings import here

    with run.phase("explain", f"explaining {plural(len(roots), 'divergent derivation')}"):
        run.seen.date(_ends(run, [*roots, *steady]))
        surroundings = here(run.nix.settings(), config.cores)
        explained = explain_roots(
            plan, roots, run.seen, surroundings, run.nix.processes.stopped, partial(run.display.step, "explain")
        )
        run.display.finished()
        run.findings = explained.findings
        if explained.late:
            run.warn(f"not explained, because the time was up: {some(explained.late, 5)}")
        run.nix.processes.check()
        if config.explain != "rules":
            _experiment(run, plan, rebuilder, roots, steady)


def _ends(run: Run, drv_paths: Sequence[str]) -> dict[str, float]:
    """When the first builds that this run has not seen had ended at the latest: when the store got what they made, and
    where it was there before, before this run."""
    unseen = {
        path: first
        for path in drv_paths
        if (first := run.seen.first(path)) is not None and first.status in ("present", "substituted")
    }
    paths = [seen.path for first in unseen.values() for seen in first.outputs.values()]
    try:
        infos = run.nix.path_info(paths) if paths else {}
    except NixError:
        infos = {}
    ends: dict[str, float] = {}
    for drv_path, first in unseen.items():
        known = [infos[seen.path].registration_time for seen in first.outputs.values() if seen.path in infos]
        latest = [float(at) for at in known if at] + [run.began] * (first.status == "present")
        if latest:
            ends[drv_path] = min(latest)
    return ends


def _experiment(run: Run, plan: Plan, rebuilder: Rebuilder, roots: Sequence[str], steady: Sequence[str]) -> None:
    """Have causes proved. What one stage of it finds is kept at once, because the next may be interrupted."""
    from nix_repro.explain.experiments.laboratory import Laboratory
    from nix_repro.explain.experiments.prove import experiment

    if not rebuilder.varies:
        run.warn(f"no experiments: they need the shadow rebuilder, and this run used {rebuilder.name}")
        return
    run.rebuilder = rebuilder
    room = Path(run.nix.store_dir()).parent / "var"
    laboratory = Laboratory(
        rebuilder,
        plan,
        run.seen.built(),
        settings=run.nix.settings(),
        limits=run.limits,
        round_number=run.config.rounds + 1,
        directory=run.work / "experiments",
        build_dir=usual(run.nix.settings(), run.nix.release(), run.nix.env, room),
        room=room,
        deadline=time.monotonic() + run.config.explain_budget,
        watcher=run.display,
    )
    stopped = run.nix.processes.stopped
    for found in experiment(laboratory, run.seen, run.findings, roots, steady, run.display.phase, stopped):
        run.findings |= found.findings
        for warning in found.warnings:
            run.warn(warning)
        if found.attempts:
            # Nothing was changed in these rebuilds, so they count for the verdict like any other.
            run.seen.add(found.attempts)
            run.seen.trees.update(found.trees)
            remember(run, plan)
            run.judge()
