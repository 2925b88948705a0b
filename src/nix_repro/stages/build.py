"""The first build, and what is found out while the store knows: what it left there, and where everything came from."""

from __future__ import annotations

import time
from collections.abc import Sequence

from nix_repro.build.blame import rooted
from nix_repro.build.first import build
from nix_repro.build.outcome import complete, failure_of, look, observe_build, present_outputs
from nix_repro.metrics.needed import Work, find_needs
from nix_repro.nix.caches.kinds import CACHE_STEPS
from nix_repro.nix.command import NixError
from nix_repro.nix.derivation import Derivation
from nix_repro.nix.graph import above
from nix_repro.nix.log.intervals import covered
from nix_repro.nix.log.recorder import waiting
from nix_repro.observations import Attempt
from nix_repro.plan.scope import Plan, built_here
from nix_repro.reasons import UNCHANGED, UNSUPPORTED
from nix_repro.report import Phase, PhaseName
from nix_repro.run import Run
from nix_repro.text import last_line, plural


def build_targets(run: Run, plan: Plan) -> Plan:
    """Build the plan's targets. Returns the plan that is known then: without the upstream caches, the build shows what
    is whose."""
    named = [path for path in plan.installables.values() if plan.skipped.get(path) != UNCHANGED]
    wanted = list(dict.fromkeys([*named, *(() if plan.upstream_unreachable else plan.targets)]))
    derivations = [plan.derivations[path] for path in dict.fromkeys([*wanted, *plan.targets])]
    present = present_outputs(run.nix, derivations)
    run.display.phase(f"building {plural(len(wanted), 'derivation')}")
    started = time.time()
    failures: list[Attempt] = []
    try:
        missing = [path for path in wanted if not complete(plan.derivations[path], present)]
        build(run.realiser, missing, plan.derivations, run.limits, run.recorder)
        for _ in range(run.config.retries or 0):
            if not (failed := _failed(run, plan, present)):
                break
            failures += failed
            _build_again(run, plan, wanted, [attempt.drv_path for attempt in failed])
    finally:
        with run.nix.processes.shielded():
            if plan.upstream_unreachable:
                plan = run.plan = built_here(plan, {activity.name for activity in run.recorder.builds})
            targets = [plan.derivations[path] for path in plan.targets]
            attempts = _observe(run, targets, present)
            # What is not to be rebuilt has to be built all the same, or fetched: named but not there is never a pass.
            skipped = {path: plan.derivations[path] for path in plan.skipped if path in plan.derivations}
            doubtful = [
                d
                for path, d in skipped.items()
                if failure_of(d, run.recorder, missing=True) or (path in named and not d.impure)
            ]
            attempts += [attempt for attempt in _observe(run, doubtful, present) if not attempt.outputs]
            run.seen.add([*failures, *rooted(attempts, plan.derivations, run.recorder)])
            run.phases += _build_phases(run, started)
            with waiting(run.display, "until it is known where everything came from"):
                _find_needs(run, plan, present)
    for number, good in enumerate(run.nix.batches(run.seen.built())):
        roots = str(run.work / "roots" / f"out{number or ''}")
        run.nix.run("nix-store", "--realise", "--add-root", roots, "--indirect", paths=good)
    return plan


def _failed(run: Run, plan: Plan, present: set[str]) -> list[Attempt]:
    """The builds that have failed by themselves."""
    attempts = _observe(run, [plan.derivations[path] for path in plan.targets], present)
    found = rooted(attempts, plan.derivations, run.recorder)
    return [attempt for attempt in found if attempt.status == "failed" and attempt.because != UNSUPPORTED]


def _build_again(run: Run, plan: Plan, wanted: Sequence[str], failed: Sequence[str]) -> None:
    """Build what has failed once more, and what had to wait for it."""
    run.display.phase(f"building {plural(len(failed), 'derivation')} again, of what failed")
    out = {*failed, *above(plan.derivations, failed)}
    build(run.realiser, [path for path in wanted if path in out], plan.derivations, run.limits, run.recorder)


def _observe(run: Run, derivations: Sequence[Derivation], present: set[str]) -> list[Attempt]:
    cancelled = run.nix.processes.stopped()
    left = look(run.nix, derivations)
    run.recorder.correct_ends(derivations, left.touched)
    return observe_build(left, derivations, present, run.recorder, cancelled=cancelled)


def _find_needs(run: Run, plan: Plan, present: set[str]) -> None:
    """Find out where everything came from, while the store knows."""
    work = Work(run.recorder.builds, run.recorder.substitutions, present, run.seen.built())
    restored = "github=success" in run.environ.get(CACHE_STEPS, "").split()
    try:
        run.needs = find_needs(run.nix, plan, work, upstream=run.realiser.upstream, restored=restored)
    except NixError as error:
        run.warn(f"the cache layers are not known: {last_line(str(error))}")


def _build_phases(run: Run, started: float) -> list[Phase]:
    """Fetch and build, each the time in which at least one such activity ran. They overlap."""
    now = time.time()
    found: list[Phase] = []
    names: tuple[tuple[PhaseName, list[tuple[float, float]]], ...] = (
        ("fetch", [(a.started, a.stopped or now) for a in run.recorder.substitutions]),
        ("build", [(a.started, a.stopped or now) for a in run.recorder.builds]),
    )
    for name, intervals in names:
        begin = min((i[0] for i in intervals), default=started)
        found.append(Phase(name=name, started=round(begin - run.began, 3), seconds=round(covered(intervals), 3)))
    return found
