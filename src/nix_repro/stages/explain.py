"""Why the divergent roots differ, and what experiments prove."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from nix_repro.build.rebuild.protocol import Rebuilder
from nix_repro.nix.command import NixError
from nix_repro.plan.scope import Plan
from nix_repro.run import Run
from nix_repro.text import plural, some


def explain_divergences(run: Run, plan: Plan, rebuilder: Rebuilder) -> None:
    config = run.config
    roots = [path for path, judged in run.verdicts.items() if judged.verdict == "divergent"]
    named = dict.fromkeys(plan.installables.values())
    same = [path for path in named if path in run.verdicts and run.verdicts[path].verdict == "reproducible"]
    steady = same if config.explain == "variations" else []
    if config.explain == "off" or not (roots or steady or run.stopping):
        return
    # Late: most runs have nothing to explain.
    from nix_repro.explain.roots import explain_roots
    from nix_repro.explain.surroundings import here
    from nix_repro.stages.experiment import conduct_experiments

    with run.phase("explain", f"explaining {plural(len(roots), 'divergent derivation')}"):
        run.seen.date(_ends(run, [*roots, *steady]))
        surroundings = here(run.nix.settings(), config.cores)
        explained = explain_roots(
            plan,
            roots,
            run.seen,
            surroundings,
            run.nix.processes.stopped,
            partial(run.display.step, "explain"),
            run.varied,
        )
        run.display.finished()
        run.findings = explained.findings
        if explained.late:
            run.warn(f"not explained, because the time was up: {some(explained.late, 5)}")
        run.nix.processes.check()
        conduct_experiments(run, plan, rebuilder, roots, steady)


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
