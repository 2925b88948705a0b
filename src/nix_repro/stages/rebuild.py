"""The independent repetitions: every round over all targets, then the victims alone with the first build's inputs."""

from __future__ import annotations

import time
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from nix_repro.build.rebuild.attempts import not_built
from nix_repro.build.rebuild.copying import whole_trees
from nix_repro.build.rebuild.inputs import input_installables
from nix_repro.build.rebuild.protocol import Answer, Rebuilder, Request
from nix_repro.build.variations import GAP, TIME, TIME_GAP
from nix_repro.build.varying import write_files
from nix_repro.nix.command import NixError
from nix_repro.nix.derivation import Derivation
from nix_repro.nix.graph import above, levels
from nix_repro.nix.log.recorder import Recorder, waiting
from nix_repro.nix.store_path import store_name
from nix_repro.observations import Attempt
from nix_repro.plan.scope import Plan
from nix_repro.plan.systems import systems
from nix_repro.reasons import UNSUPPORTED, said
from nix_repro.report import Phase, Status
from nix_repro.run import Run
from nix_repro.text import last_line, plural, some
from nix_repro.verdict import verdict

#: How a rebuild may end because of what was varied.
DIED: tuple[Status, ...] = ("failed", "timed-out", "disk-full", "dependency-failed")
#: How often a rebuild that fails is tried again, unless somebody has said so.
RETRIES = 1


def rebuild_targets(run: Run, plan: Plan, rebuilder: Rebuilder) -> None:
    first = run.seen.built()
    good = [path for path in plan.targets if path in first and not (path in run.known and run.known[path].verified)]
    if not rebuilder.elsewhere:
        elsewhere = _only_elsewhere(run.nix.settings(), [plan.derivations[path] for path in good])
        run.seen.add(elsewhere)
        good = [path for path in good if path not in {attempt.drv_path for attempt in elsewhere}]
    if not good:
        if any(known.verified for known in run.known.values()):
            # That took no time, which is something else than not measured.
            run.phases.append(Phase(name="rebuild", started=round(time.time() - run.began, 3), seconds=0.0))
        return
    run.rebuilder = rebuilder
    with run.phase("rebuild", f"rebuilding {plural(len(good), 'derivation')} ({rebuilder.name})"):
        run.watch_store(here=not rebuilder.elsewhere)
        _have_inputs(run, [plan.derivations[path] for path in good])
        for round_number in range(2, run.config.rounds + 1):
            if run.config.rounds > 2:
                turn = f"rebuild {round_number - 1} of {run.config.rounds - 1}"
                run.display.phase(f"rebuilding {plural(len(good), 'derivation')} ({rebuilder.name}), {turn}")
            _wait_for_clock(run, good)
            _ask(run, rebuilder, [plan.derivations[path] for path in good], round_number, isolated=False)
        if rebuilder.isolates:
            _isolate(run, plan, rebuilder)


def _isolate(run: Run, plan: Plan, rebuilder: Rebuilder) -> None:
    """Rebuild what may differ because an input does, alone, as in the round in which it differed."""
    victims = verdict.dependent_divergences(plan, verdict.judge_whole_set(plan, run.seen))
    alone = levels(victims, plan.derivations)
    for number, level in enumerate(alone, 1):
        of = f", level {number} of {len(alone)}" if len(alone) > 1 else ""
        what = plural(len(level), "derivation")
        run.display.phase(f"rebuilding {what} alone, with the first build's inputs{of}")
        by_round: dict[int, list[Derivation]] = {}
        for path in level:
            by_round.setdefault(_differed_in(run, path), []).append(plan.derivations[path])
        for round_number, targets in sorted(by_round.items()):
            _ask(run, rebuilder, targets, round_number, isolated=True)


def _differed_in(run: Run, drv_path: str) -> int:
    """The first round in which a derivation that diverges differed."""
    first, rebuilds = run.seen.first(drv_path), run.seen.rebuilds(drv_path, isolated=False)
    assert first is not None
    differing = [a.round for a in rebuilds if any(a.differs(name, first) for name in a.outputs)]
    return max(min(differing), 2)


def _have_inputs(run: Run, targets: Sequence[Derivation]) -> None:
    """What was fetched was fetched without its build inputs: have them before the rebuilder, which does not watch the
    caches."""
    if inputs := input_installables(targets):
        run.realiser.realise(["--keep-going", *run.limits.args()], inputs, Recorder(watcher=run.display))


def _only_elsewhere(settings: Mapping[str, Any], derivations: Iterable[Derivation]) -> list[Attempt]:
    """No rebuild of what another machine has built, or a cache had, and this one cannot: Nix would give up on all."""
    here, features = systems(settings), set(settings.get("system-features", []))
    elsewhere = [drv for drv in derivations if drv.system not in here or not features.issuperset(drv.required_features)]
    return not_built(elsewhere, 2, UNSUPPORTED)


def _wait_for_clock(run: Run, drv_paths: Iterable[str]) -> None:
    last = max((a.started or 0.0 for path in drv_paths for a in run.seen.attempts[path]), default=0.0)
    # Never longer than that: the clock may have been set back meanwhile.
    left = min(last + TIME_GAP - time.time(), TIME_GAP)
    with waiting(run.display, GAP):
        run.nix.processes.pause(left)


def _ask(run: Run, rebuilder: Rebuilder, targets: Sequence[Derivation], round_number: int, *, isolated: bool) -> None:
    """Rebuild as in that round. What does not build so is rebuilt as usual before anything is said of it, and what
    fails all the same is tried again: what fails now and then is not what always fails."""
    usual = Request(tuple(targets), run.seen.built(), round_number, run.limits, run.work / "trees", isolated)
    condition = run.varied.of(round_number)
    write_files(condition, run.machine, run.conditions)
    varied = replace(usual, condition=condition)
    answer = _answer(run, rebuilder, varied)
    died = {attempt.drv_path: attempt for attempt in answer.attempts if attempt.varied and attempt.status in DIED}
    if died:
        run.display.phase(f"rebuilding {plural(len(died), 'derivation')} again, without variations")
        answer = _without(run, rebuilder, varied, answer, died)
    run.seen.add(answer.attempts)
    _take(run, answer, isolated=isolated)
    graph = {drv.drv_path: drv for drv in targets}
    for _ in range(_retries(run)):
        ended = run.seen.failed(graph, round_number, isolated=isolated)
        failing = [path for path, status in ended.items() if status == "failed"]
        # What waits for something else, such as one that has timed out, would wait again.
        failed = {*failing, *(above(graph, failing) & ended.keys())}
        if not failed:
            return
        run.display.phase(f"rebuilding {plural(len(failed), 'derivation')} again, because of what failed")
        again = _answer(run, rebuilder, _only(usual, failed))
        run.seen.repeat(again.attempts)
        _take(run, again, isolated=isolated)


def _without(run: Run, rebuilder: Rebuilder, varied: Request, answer: Answer, died: Mapping[str, Attempt]) -> Answer:
    """The answer with what died under variations built without them. What then builds, and with them as well when that
    is tried once more, fails now and then, and not because of them."""
    again = _answer(run, rebuilder, _only(replace(varied, condition=TIME), died))
    ended = {a.drv_path: died[a.drv_path] for a in again.attempts if a.outputs}
    tried = [path for path, was in ended.items() if was.status == "failed"] if _retries(run) else []
    more = _answer(run, rebuilder, _only(varied, tried)) if tried else Answer((), {})
    flaky = tuple(attempt for attempt in more.attempts if attempt.outputs)
    for path, was in ended.items():
        if was.status in ("failed", "timed-out") and path not in {attempt.drv_path for attempt in flaky}:
            run.stopping[path] = was
            because = was.because.text if was.because else was.status
            run.warn(f"{store_name(path)} does not build with {varied.condition.what} ({because}); it does without")
    others = (attempt for attempt in answer.attempts if attempt.drv_path not in died)
    failed = (died[attempt.drv_path] for attempt in flaky)
    return Answer((*others, *failed, *again.attempts, *flaky), {**answer.trees, **again.trees, **more.trees})


def _only(request: Request, drv_paths: Container[str]) -> Request:
    return replace(request, targets=tuple(drv for drv in request.targets if drv.drv_path in drv_paths))


def _retries(run: Run) -> int:
    return RETRIES if run.config.retries is None else run.config.retries


def _answer(run: Run, rebuilder: Rebuilder, request: Request) -> Answer:
    recorder = run.new_recorder()
    try:
        return rebuilder.rebuild(request, recorder)
    except NixError as error:
        run.warn(f"the rebuild could not be done: {error}")
        because = said(last_line(str(error)).removeprefix("error: "))
        # A round that did not take place is no evidence, whatever the others say.
        return Answer(tuple(not_built(request.targets, request.round, because, isolated=request.isolated)), {})


def _take(run: Run, answer: Answer, *, isolated: bool) -> None:
    whole, broken = whole_trees(answer, run.seen.built())
    if broken:
        names = some([store_name(drv_path) for drv_path, _ in broken], 5)
        run.warn(f"not explained, because the copies of both sides are not whole (is the disk full?): {names}")
    for key, tree in whole.items():
        # With the first build's inputs, the difference is the derivation's own: that tree explains it better.
        if isolated or key not in run.seen.trees:
            run.seen.trees[key] = tree
