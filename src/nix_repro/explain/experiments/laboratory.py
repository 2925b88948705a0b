"""Where experiments are carried out: by a rebuilder, under one condition at a time, without touching a derivation."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from nix_repro.build.limits import Limits
from nix_repro.build.rebuild.copying import whole_trees
from nix_repro.build.rebuild.protocol import Answer, Rebuilder, Request, refusal
from nix_repro.build.variations import GAP, TIME, TIME_GAP, Condition, Machine, on_machine
from nix_repro.build.varying import write_files
from nix_repro.explain.budget import Budget
from nix_repro.explain.context import Context, Side
from nix_repro.explain.engine import explain_output
from nix_repro.explain.experiments.inquiry import FAILED, Experiment, Hashes, accounted
from nix_repro.explain.roots import side
from nix_repro.explain.surroundings import here, under
from nix_repro.files import private_directory
from nix_repro.nix.command import NixError
from nix_repro.nix.graph import levels
from nix_repro.nix.log.recorder import Recorder, Watcher, waiting
from nix_repro.observations import Attempt, Tree
from nix_repro.plan.scope import Plan
from nix_repro.report import Finding

#: A build may take this many seconds in an experiment,
PATIENCE = 60
#: plus this many times its original duration.
TIMES_SLOWER = 10


class Laboratory:
    """Rebuilds a run's derivations with a rebuilder that varies conditions until `deadline` (on the monotonic clock).

    `first` are the first builds that succeeded, `here` is what all builds have in common, `settings` are Nix's,
    `round_number` is the round that experiments count as, and `directory` holds what has to be kept for a while.
    `machine` is where it rebuilds. `refused` maps conditions that
    cannot be had here to the reason, and `answered` holds those that were done, with the .drv path. `done` counts the
    rebuilds by what was held or changed (None: nothing) and .drv path, and `died` those of which the builder failed;
    `last_words` are what it said last. `sensitive` are the findings in outputs that differ under an experiment, by the
    experiment's name, .drv path and output. `intermittent` holds, by .drv path, the first rebuild with nothing changed
    that differed although all earlier ones were the same.
    """

    def __init__(
        self,
        rebuilder: Rebuilder,
        plan: Plan,
        first: Mapping[str, Attempt],
        *,
        settings: Mapping[str, Any],
        limits: Limits,
        round_number: int,
        directory: Path,
        machine: Machine,
        deadline: float,
        watcher: Watcher,
    ) -> None:
        self.plan = plan
        self.first = first
        self.here = here(settings, limits.cores)
        self._rebuilder = rebuilder
        self._round = round_number
        self._limits = limits
        self._directory = directory
        self._deadline = deadline
        self._watcher = watcher
        self._machine = machine
        self._started = time.monotonic()
        self._count = 0
        self.refused: dict[str, str] = {}
        self.answered: set[tuple[str, str]] = set()
        self.done: Counter[tuple[Condition | None, str]] = Counter()
        self.died: Counter[tuple[Condition | None, str]] = Counter()
        self.last_words: dict[str, str] = {}
        self.sensitive: dict[tuple[str, str, str], tuple[Finding, ...]] = {}
        self.intermittent: dict[str, tuple[Attempt, dict[tuple[str, str], Tree]]] = {}
        self._directory.mkdir(parents=True, exist_ok=True)

    def in_time(self) -> bool:
        return time.monotonic() < self._deadline

    def rebuild(self, experiment: Experiment | None, drv_paths: Sequence[str], steady: bool) -> dict[str, Hashes]:
        """Rebuild with the first build's inputs, in as few runs of Nix as that allows. `steady` says that these are
        derivations that were the same so far."""
        condition = self.condition(experiment) if experiment is not None else TIME
        if condition is None:
            return {}
        if not steady and condition.clock is None:
            # A rebuild within the same second would have the same time stamp anyway, and seem to prove the experiment's
            # point.
            left = min(self._started + TIME_GAP, self._deadline) - time.monotonic()
            with waiting(self._watcher, GAP):
                time.sleep(max(0.0, left))
        self._started = time.monotonic()
        control = steady and experiment is None
        found: dict[str, Hashes] = {}
        steps = levels(drv_paths, self.plan.derivations)
        for number, level in enumerate(steps, 1):
            if not self.in_time():
                break
            self._count += 1
            place = waiting(self._watcher if len(steps) > 1 else None, f"for level {number} of {len(steps)}")
            with place, private_directory(parent=self._directory) as passing:
                answer = self._ask(condition, level, self._directory / f"control-{self._count}" if control else passing)
                if steady and experiment is not None and not experiment.holds and not experiment.is_placebo:
                    self._look(experiment, condition, answer)
                for attempt in answer.attempts:
                    if (hashes := self._hashes(experiment, attempt, answer)) is not None:
                        found[attempt.drv_path] = hashes
            if control:
                self._remember(answer)
        if experiment is not None:
            self.answered |= {(experiment.name, path) for path in found}
        return found

    def _hashes(self, experiment: Experiment | None, attempt: Attempt, answer: Answer) -> Hashes:
        """What a rebuild came to. That a builder fails under a condition is an outcome too."""
        changed = None if experiment is None or experiment.own_time else experiment.condition
        # Not that it was for another system, which Nix says without starting it.
        died = attempt.status == "failed" and attempt.started is not None
        if attempt.outputs or died:
            self.done[changed, attempt.drv_path] += 1
        if attempt.outputs:
            timed = self._with_own_time(attempt, answer) if experiment is not None and experiment.own_time else set()
            return {o: "its own time" if o in timed else seen.nar_hash for o, seen in attempt.outputs.items()}
        if not died:
            return None
        self.died[changed, attempt.drv_path] += 1
        self.last_words[attempt.drv_path] = next(filter(None, reversed((attempt.log or "").splitlines())), "")
        return dict.fromkeys(self.first[attempt.drv_path].outputs, FAILED)

    def _ask(self, condition: Condition, drv_paths: Sequence[str], keep: Path) -> Answer:
        # A result that comes after the deadline is of no use, and a program may wait forever for a frozen clock.
        left = max(1, math.ceil(self._deadline - time.monotonic()))
        usual = max(self.first[path].seconds or left for path in drv_paths)
        limits = replace(
            self._limits, timeout=min(self._limits.timeout or left, left, math.ceil(PATIENCE + TIMES_SLOWER * usual))
        )
        targets = tuple(self.plan.derivations[path] for path in drv_paths)
        request = Request(targets, self.first, self._round, limits, keep, isolated=True, condition=condition)
        write_files(condition, self._machine, self._directory)
        try:
            answer = self._rebuilder.rebuild(request, Recorder(watcher=self._watcher))
        except NixError:
            return Answer((), {})
        # A copy that the disk had no room for would differ in what is missing of it.
        whole, _ = whole_trees(answer, self.first)
        return Answer(answer.attempts, whole)

    def _with_own_time(self, attempt: Attempt, answer: Answer) -> set[str]:
        """The outputs in which this rebuild and the first build differ by nothing but the time at which each was
        built."""
        found: set[str] = set()
        for (drv_path, output), tree in answer.trees.items():
            if drv_path == attempt.drv_path:
                budget = Budget()
                context = self._context(drv_path, output, side(attempt, self.here))
                findings = explain_output(output, tree.a, tree.b, context, budget)
                if accounted(findings, output, "timestamp") and not budget.cut:
                    found.add(output)
        return found

    def _look(self, experiment: Experiment, condition: Condition, answer: Answer) -> None:
        """Find out what is sensitive to the condition. The trees are not kept until later: there may be many."""
        attempts = {attempt.drv_path: attempt for attempt in answer.attempts}
        for (drv_path, output), tree in answer.trees.items():
            if (key := (experiment.name, drv_path, output)) not in self.sensitive:
                again = under(condition, side(attempts[drv_path], self.here))
                context = self._context(drv_path, output, again)
                self.sensitive[key] = explain_output(output, tree.a, tree.b, context, Budget())

    def _context(self, drv_path: str, output: str, again: Side) -> Context:
        first = self.first[drv_path]
        return Context(
            a=side(first, self.here),
            b=again,
            store_path=first.outputs[output].path,
        )

    def _remember(self, answer: Answer) -> None:
        for attempt in answer.attempts:
            trees = {key: tree for key, tree in answer.trees.items() if key[0] == attempt.drv_path}
            if trees:
                self.intermittent.setdefault(attempt.drv_path, (replace(attempt, isolated=False), trees))

    def condition(self, experiment: Experiment) -> Condition | None:
        """What to rebuild under, or None, with the reason in `refused`, when that cannot be had here."""
        wanted = experiment.condition
        if (why := self._machine.lacking(wanted) or refusal(self._rebuilder, wanted)) is not None:
            self.refused[wanted.name] = why
            return None
        return TIME if experiment.own_time else on_machine(wanted, self._machine, self._directory)
