"""The run, top to bottom: evaluate, plan, build, rebuild, judge, report."""

from __future__ import annotations

import os
import shlex
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from nix_repro.assemble import assemble, finish
from nix_repro.build.first import build
from nix_repro.build.outcome import observe_build, present_outputs
from nix_repro.build.rebuild.choose import choose
from nix_repro.build.rebuild.inputs import input_installables
from nix_repro.build.rebuild.protocol import Answer, Rebuilder, Request
from nix_repro.build.suite import run_checks, run_command
from nix_repro.build.variations import TIME_GAP
from nix_repro.config import Config
from nix_repro.doctor.diagnose import urgent
from nix_repro.errors import Interrupted, UsageError
from nix_repro.metrics.phases import NOTED, job_phases
from nix_repro.nix.caches.kinds import normal
from nix_repro.nix.caches.lookup import Caches
from nix_repro.nix.command import Nix, NixError
from nix_repro.nix.derivation import Derivation
from nix_repro.nix.graph import levels
from nix_repro.nix.log.intervals import covered
from nix_repro.nix.log.recorder import Recorder
from nix_repro.nix.processes import Processes
from nix_repro.observations import Attempt, Tree
from nix_repro.plan.installables import add_roots, evaluate
from nix_repro.plan.scope import Plan, built_here, make_plan
from nix_repro.plan.systems import refuse_other_systems, systems
from nix_repro.reasons import CANCELLED, UNCHANGED, UNSUPPORTED, Reason, said
from nix_repro.report import Phase, PhaseName, Report, SuiteRun
from nix_repro.run import Display, Run
from nix_repro.text import plural
from nix_repro.verdict import verdict
from nix_repro.verdict.fail_when import check_syntax

DEFAULT_UPSTREAM = "https://cache.nixos.org"


def check(
    config: Config,
    processes: Processes,
    environ: Mapping[str, str],
    cwd: Path,
    display: Display,
    keep: Callable[[Report, Mapping[tuple[str, str], Tree]], Report],
) -> Report:
    """Run the check, and hand the report and the differing trees (by .drv path and output) to `keep` while these are
    still there; it returns the report, with what it has to add to it.

    Raises `UsageError` for what the user can mend. An interruption is no error: the report says what was not finished.
    """
    check_syntax(config.fail_when)
    noted = [environ.get(name) for name in NOTED]
    began, before = job_phases(noted, time.time())
    with tempfile.TemporaryDirectory(prefix="nix-repro-", ignore_cleanup_errors=True) as directory:
        nix = Nix(processes, environ, config.options)
        run = Run(config, nix, cwd, environ, display, began=began, phases=before, work=Path(directory))
        signum: int | None = None
        try:
            _work(run)
        except Interrupted as stop:
            signum = stop.signum
            run.unfinished = CANCELLED
        except NixError as error:
            if run.plan is None:
                raise UsageError(str(error)) from None
            # What was found so far is worth a report.
            run.warn(f"Nix failed: {error}")
            run.unfinished = said(str(error).splitlines()[-1].removeprefix("error: "))
        with processes.shielded():
            report = finish(assemble(run, signum), config, environ, cwd, run.warn)
            return keep(report, run.seen.trees)


def plan_only(
    config: Config, processes: Processes, environ: Mapping[str, str], cwd: Path, display: Display
) -> tuple[Plan, set[str], dict[str, str]]:
    """What `check` would work on, which of its outputs are in the store already, and which cache has the others."""
    run = Run(config, Nix(processes, environ, config.options), cwd, environ, display)
    plan = _plan(run)
    derivations = [plan.derivations[path] for path in dict.fromkeys([*plan.targets, *plan.installables.values()])]
    present = present_outputs(run.nix, derivations)
    missing = [
        o.path for drv in derivations for o in drv.outputs.values() if o.path is not None and o.path not in present
    ]
    caches = Caches(run.nix, run.nix.settings().get("substituters", []))
    where = caches.where(missing)
    for url, why in caches.unreachable.items():
        run.warn(f"cache {url}: {why}")
    return plan, present, where


def _work(run: Run) -> None:
    plan = _plan(run)
    add_roots(run.nix, list(plan.installables.values()), run.work / "roots")
    if run.config.rebuilder == "shadow" and os.getuid() != 0:
        run.display.phase("asking sudo for root's rights: it may want your password")
    rebuilder = run.rebuilder = choose(
        run.config.rebuilder, run.nix, run.environ, lambda: _release_roots(run), run.warn
    )
    plan = _build(run, plan)
    _test(run, plan)
    _rebuild(run, plan, rebuilder)
    _explain(run, plan)


def _plan(run: Run) -> Plan:
    with run.phase("evaluate", "evaluating"):
        installables = evaluate(run.nix, run.config.installables, run.cwd, warn=run.warn)
        urls = _upstream_urls(run)
        caches = Caches(run.nix, urls)
        plan = run.plan = make_plan(
            installables,
            run.config.scope,
            lambda paths, recursive: run.nix.derivations(paths, recursive=recursive),
            caches.available if urls else None,
        )
        run.books.expect(urls, caches.unreachable)
        plan = run.plan = run.books.compare(plan)
    refuse_other_systems(plan, run.nix.settings())
    for finding in urgent(run.nix, run.environ, run.cwd):
        run.warn(finding)
    for url, why in caches.unreachable.items():
        run.warn(
            f"upstream cache {url}: {why}. Only what this run builds is known to be the repository's own. "
            "If the cache can never be reached, `upstream-caches: none` treats everything as the repository's own"
        )
    return plan


def _upstream_urls(run: Run) -> list[str]:
    """The upstream caches: those named in the configuration, else cache.nixos.org when Nix uses it."""
    if run.config.upstream_caches is not None:
        return list(run.config.upstream_caches)
    configured = {normal(url) for url in run.nix.settings().get("substituters", [])}
    return [DEFAULT_UPSTREAM] if DEFAULT_UPSTREAM in configured else []


def _build(run: Run, plan: Plan) -> Plan:
    """Build the plan's targets. Returns the plan that is known then: without the upstream caches, the build shows what
    is whose."""
    named = [path for path in plan.installables.values() if plan.skipped.get(path) != UNCHANGED]
    wanted = list(dict.fromkeys([*named, *(() if plan.upstream_unreachable else plan.targets)]))
    derivations = [plan.derivations[path] for path in dict.fromkeys([*wanted, *plan.targets])]
    present = present_outputs(run.nix, derivations)
    run.recorder.watcher = run.display
    run.display.phase(f"building {plural(len(wanted), 'derivation')}")
    started = time.time()
    try:
        build(run.books.robust, wanted, plan.derivations, run.limits, run.recorder)
    finally:
        with run.nix.processes.shielded():
            if plan.upstream_unreachable:
                plan = run.plan = built_here(plan, {activity.name for activity in run.recorder.builds})
            targets = [plan.derivations[path] for path in plan.targets]
            cancelled = run.nix.processes.stopped()
            run.seen.add(observe_build(run.nix, targets, present, run.recorder, cancelled=cancelled))
            # What is not to be rebuilt has to be built all the same, or fetched: named but not there is never a pass.
            skipped = {path: plan.derivations[path] for path in plan.skipped if path in plan.derivations}
            doubtful = [
                d for path, d in skipped.items() if run.recorder.failure_of(path) or (path in named and not d.impure)
            ]
            tried = observe_build(run.nix, doubtful, present, run.recorder, cancelled=cancelled)
            run.seen.add(attempt for attempt in tried if not attempt.outputs)
            run.phases += _build_phases(run, started)
            run.books.after_build(plan, present, run.recorder, run.seen)
    good = list(run.seen.built())
    if good:
        run.nix.run("nix-store", "--realise", "--add-root", str(run.work / "roots" / "out"), "--indirect", *good)
    return plan


def _test(run: Run, plan: Plan) -> None:
    wanted = run.config.test
    if wanted == "none":
        return
    with run.phase("test", "testing"):
        if wanted == "checks":
            before = {activity.name for activity in run.recorder.builds}
            run.test = run_checks(run.nix, run.books.robust, run.limits, Recorder(watcher=run.display), before, run.cwd)
        elif not run.seen.built().keys() >= set(plan.targets):
            run.test = SuiteRun(command=shlex.join(wanted), status="not-run", log="the build did not succeed")
        else:
            run.test = run_command(run.nix, tuple(wanted), run.cwd)
            run.nix.processes.check()


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


def _release_roots(run: Run) -> None:
    for link in (run.work / "roots").glob("out*"):
        link.unlink()


def _rebuild(run: Run, plan: Plan, rebuilder: Rebuilder) -> None:
    first = run.seen.built()
    good = [path for path in plan.targets if path in first]
    if not rebuilder.elsewhere:
        elsewhere = _only_elsewhere(run.nix.settings(), [plan.derivations[path] for path in good])
        run.seen.add(elsewhere)
        good = [path for path in good if path not in {attempt.drv_path for attempt in elsewhere}]
    if not good:
        return
    with run.phase("rebuild", f"rebuilding {plural(len(good), 'derivation')} ({rebuilder.name})"):
        _have_inputs(run, [plan.derivations[path] for path in good])
        for round_number in range(2, run.config.rounds + 1):
            _wait_for_clock(run, good)
            _ask(run, rebuilder, [plan.derivations[path] for path in good], round_number, isolated=False)
        if rebuilder.isolates:
            victims = verdict.dependent_divergences(plan, verdict.judge_whole_set(plan, run.seen))
            for level in levels(victims, plan.derivations):
                run.display.phase(f"rebuilding {plural(len(level), 'derivation')} with the first build's inputs")
                _ask(run, rebuilder, [plan.derivations[path] for path in level], 2, isolated=True)


def _have_inputs(run: Run, targets: Sequence[Derivation]) -> None:
    """What was fetched was fetched without its build inputs: have them before the rebuilder, which does not watch the
    caches."""
    if inputs := input_installables(targets):
        run.books.robust.realise(["--keep-going", *run.limits.args(), *inputs], Recorder(watcher=run.display))


def _only_elsewhere(settings: Mapping[str, Any], derivations: Iterable[Derivation]) -> list[Attempt]:
    """No rebuild of what another machine has built, or a cache had, and this one cannot: Nix would give up on all."""
    here, features = systems(settings), set(settings.get("system-features", []))
    elsewhere = [drv for drv in derivations if drv.system not in here or not features.issuperset(drv.required_features)]
    return _not_built(elsewhere, 2, UNSUPPORTED)


def _not_built(
    derivations: Iterable[Derivation], round_number: int, because: Reason, *, isolated: bool = False
) -> list[Attempt]:
    return [
        Attempt(
            drv.drv_path,
            round_number,
            "not-built",
            missing=dict.fromkeys(drv.outputs, because),
            because=because,
            isolated=isolated,
        )
        for drv in derivations
    ]


def _wait_for_clock(run: Run, drv_paths: Iterable[str]) -> None:
    last = max((a.started or 0.0 for path in drv_paths for a in run.seen.attempts[path]), default=0.0)
    remaining = last + TIME_GAP - time.time()
    if remaining > 0:
        time.sleep(remaining)
    run.nix.processes.check()


def _ask(run: Run, rebuilder: Rebuilder, targets: Sequence[Derivation], round_number: int, *, isolated: bool) -> None:
    request = Request(tuple(targets), run.seen.built(), round_number, run.limits, run.work / "trees", isolated)
    recorder = Recorder(watcher=run.display)
    try:
        answer = rebuilder.rebuild(request, recorder)
    except NixError as error:
        run.warn(f"the rebuild could not be done: {error}")
        because = said(str(error).strip().splitlines()[-1].strip().removeprefix("error: "))
        # A round that did not take place is no evidence, whatever the others say.
        run.seen.add(_not_built(targets, round_number, because, isolated=isolated))
        return
    _take(run, answer, isolated=isolated)


def _take(run: Run, answer: Answer, *, isolated: bool) -> None:
    run.seen.add(answer.attempts)
    for key, tree in answer.trees.items():
        # With the first build's inputs, the difference is the derivation's own: that tree explains it better.
        if isolated or key not in run.seen.trees:
            run.seen.trees[key] = tree


def _explain(run: Run, plan: Plan) -> None:
    config = run.config
    judged = verdict.judge_all(plan, run.seen)
    roots = [path for path, one in judged.items() if one.verdict == "divergent"]
    same = [path for path in plan.installables.values() if path in judged and judged[path].verdict == "reproducible"]
    steady = list(dict.fromkeys(same)) if config.explain == "variations" else []
    if config.explain == "off" or not (roots or steady):
        return
    # Late: most runs have nothing to explain.
    from nix_repro.explain.experiments.prove import experiment
    from nix_repro.explain.roots import explain_all, surroundings

    here = surroundings(run.nix.settings(), config.cores)
    with run.phase("explain", f"explaining {plural(len(roots), 'divergent derivation')}"):
        run.findings = explain_all(plan, roots, run.seen, here, run.warn, run.nix.processes.stopped)
        run.nix.processes.check()
        if config.explain != "rules":
            experiment(run, plan, roots, steady)
