"""Where experiments are carried out: in the shadow rebuilder, under one change at a time, without touching a
derivation."""

from __future__ import annotations

import math
import os
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import msgspec

from nix_repro.build.rebuild.protocol import Answer, Rebuilder, Request
from nix_repro.build.variations import TIME_GAP, Change
from nix_repro.explain.budget import Budget
from nix_repro.explain.context import Context, Side
from nix_repro.explain.engine import explain_output
from nix_repro.explain.experiments.inquiry import HOLDS, Experiment, Hashes
from nix_repro.explain.roots import side, surroundings
from nix_repro.nix.command import NixError
from nix_repro.nix.graph import levels
from nix_repro.nix.log.recorder import Recorder
from nix_repro.observations import Attempt, Tree
from nix_repro.plan.scope import Plan
from nix_repro.report import Finding
from nix_repro.run import Run

_FAKETIME = ("faketime/libfaketime.so.1",)
_LIBRARIES = ("/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/usr/lib")
_ZONE = Path("/usr/share/zoneinfo/Asia/Tokyo")

#: Also one job at a time: builds that share the only processor would disturb each other.
ONE_CPU = Change(args=("--cores", "1", "--max-jobs", "1"), under="one-cpu")

#: By how many days the clock is shifted, and where the other build directory is.
LATER, ELSEWHERE = 400, "/build-elsewhere"
#: How long a build may take in an experiment: this many seconds, plus this many times its original duration.
PATIENCE = (60, 10)


class Laboratory:
    """Rebuilds a run's derivations with the shadow rebuilder until `deadline` (on the monotonic clock).

    `refused` maps experiments that this machine cannot do to the reason, and `answered` holds those that were done,
    with the .drv path. `sensitive` are the findings in outputs that differ under an experiment, by the experiment's
    name, .drv path and output. `intermittent` holds, by .drv path, the first rebuild with nothing changed that differed
    although all earlier ones were the same.
    """

    def __init__(self, run: Run, plan: Plan, shadow: Rebuilder, deadline: float) -> None:
        settings, limits = run.nix.settings(), run.limits
        self._shadow = shadow
        self._plan = plan
        self._first = run.seen.built()
        self._round = run.config.rounds + 1
        self._limits = limits
        self._directory = run.work / "experiments"
        self._deadline = deadline
        self._watcher = run.display
        self._sandboxed = str(settings.get("sandbox")).lower() == "true"
        self._here = surroundings(settings, limits.cores)
        self._cores = int(limits.cores if limits.cores is not None else settings.get("cores", 0)) or os.cpu_count() or 1
        self._started = time.time()
        self._count = 0
        self.refused: dict[str, str] = {}
        self.answered: set[tuple[str, str]] = set()
        self.sensitive: dict[tuple[str, str, str], tuple[Finding, ...]] = {}
        self.intermittent: dict[str, tuple[Attempt, dict[tuple[str, str], Tree]]] = {}
        self._directory.mkdir(parents=True, exist_ok=True)

    def in_time(self) -> bool:
        return time.monotonic() < self._deadline

    def rebuild(self, experiment: Experiment | None, drv_paths: Sequence[str], steady: bool) -> dict[str, Hashes]:
        """Rebuild with the first build's inputs, in as few runs of Nix as that allows. `steady` says that these are
        derivations that were the same so far."""
        change = self.change(experiment) if experiment is not None else Change()
        assert change is not None
        if not steady and (experiment is None or experiment.name in ("own-time", "one-cpu")):
            # A rebuild within the same second would have the same time stamp anyway, and seem to prove the experiment's
            # point.
            time.sleep(max(0.0, min(self._started + TIME_GAP - time.time(), self._deadline - time.monotonic())))
        self._started = time.time()
        control = steady and experiment is None
        found: dict[str, Hashes] = {}
        for level in levels(drv_paths, self._plan.derivations):
            if not self.in_time():
                break
            self._count += 1
            with tempfile.TemporaryDirectory(dir=self._directory, ignore_cleanup_errors=True) as passing:
                answer = self._ask(
                    change, level, self._directory / f"control-{self._count}" if control else Path(passing)
                )
                if steady and experiment is not None:
                    self._look(experiment, answer)
                for attempt in answer.attempts:
                    if attempt.outputs:
                        timed = (
                            self._with_own_time(attempt, answer)
                            if experiment is not None and experiment.name == "own-time"
                            else set()
                        )
                        found[attempt.drv_path] = {
                            o: "its own time" if o in timed else seen.nar_hash for o, seen in attempt.outputs.items()
                        }
            if control:
                self._remember(answer)
        if experiment is not None:
            self.answered |= {(experiment.name, path) for path in found}
        return found

    def _ask(self, change: Change, drv_paths: Sequence[str], keep: Path) -> Answer:
        # A result that comes after the deadline is of no use, and a program may wait forever for a frozen clock.
        left = max(1, math.ceil(self._deadline - time.monotonic()))
        usual = max(self._first[path].seconds or left for path in drv_paths)
        limits = replace(
            self._limits, timeout=min(self._limits.timeout or left, left, math.ceil(PATIENCE[0] + PATIENCE[1] * usual))
        )
        targets = tuple(self._plan.derivations[path] for path in drv_paths)
        request = Request(targets, self._first, self._round, limits, keep, isolated=True, change=change)
        try:
            return self._shadow.rebuild(request, Recorder(watcher=self._watcher))
        except NixError:
            return Answer((), {})

    def _with_own_time(self, attempt: Attempt, answer: Answer) -> set[str]:
        """The outputs in which this rebuild and the first build differ by nothing but the time at which each was
        built."""
        found: set[str] = set()
        for (drv_path, output), tree in answer.trees.items():
            if drv_path == attempt.drv_path:
                budget = Budget()
                context = self._context(drv_path, output, side(attempt, self._here))
                findings = explain_output(output, tree.a, tree.b, context, budget)
                sure = all(
                    f.cause == "timestamp" and (f.confidence == "high" or f.derived_from is not None) for f in findings
                )
                if findings and sure and not budget.cut:
                    found.add(output)
        return found

    def _look(self, experiment: Experiment, answer: Answer) -> None:
        """Find out what is sensitive to the change. The trees are not kept until later, because there may be many."""
        attempts = {attempt.drv_path: attempt for attempt in answer.attempts}
        for (drv_path, output), tree in answer.trees.items():
            if (key := (experiment.name, drv_path, output)) not in self.sensitive:
                context = self._context(drv_path, output, _changed(side(attempts[drv_path], self._here), experiment))
                self.sensitive[key] = explain_output(output, tree.a, tree.b, context, Budget())

    def _context(self, drv_path: str, output: str, again: Side) -> Context:
        first = self._first[drv_path]
        return Context(
            a=side(first if first.status == "built" else None, self._here),
            b=again,
            store_path=first.outputs[output].path,
        )

    def _remember(self, answer: Answer) -> None:
        for attempt in answer.attempts:
            trees = {key: tree for key, tree in answer.trees.items() if key[0] == attempt.drv_path}
            if trees:
                self.intermittent.setdefault(attempt.drv_path, (replace(attempt, isolated=False), trees))

    def change(self, experiment: Experiment) -> Change | None:
        """What to tell the rebuilder, or None, with the reason in `refused`, when this machine cannot do it."""
        match experiment.name:
            case "one-cpu":
                return ONE_CPU
            case "own-time":
                # It complements the frozen clock, and means nothing where the clock cannot be frozen.
                return Change() if self.change(HOLDS[0]) is not None else None
            case "cores":
                return ONE_CPU if self._cores > 1 else Change(args=("--cores", str(self._cores + 1)))
            case "directory-order":
                return Change(memory_build_dir=True)
            case "kernel":
                return Change(under="other-kernel")
            case _ if not self._sandboxed:
                self.refused[experiment.name] = "it needs Nix's sandbox, which is off"
                return None
            case "build-path":
                return Change(options=(("sandbox-build-dir", ELSEWHERE),))
            case "zone" if not _ZONE.exists():
                self.refused[experiment.name] = f"there is no {_ZONE}"
                return None
            case "zone":
                return _sandbox_paths({"/etc/localtime": _ZONE})
            case "clock-frozen":
                return self._clock(experiment, "2021-04-05 06:07:08")
            case _:
                return self._clock(experiment, f"+{LATER}d")

    def _clock(self, experiment: Experiment, when: str) -> Change | None:
        library = next((Path(d, name) for d in _LIBRARIES for name in _FAKETIME if Path(d, name).exists()), None)
        if library is None:
            self.refused[experiment.name] = "libfaketime is not installed"
            return None
        preload, setting = self._directory / "preload", self._directory / experiment.name
        preload.write_text("/nix-repro-clock/libfaketime.so.1\n", encoding="ascii")
        setting.write_text(f"{when}\n", encoding="ascii")
        return _sandbox_paths(
            {"/etc/ld.so.preload": preload, "/etc/faketimerc": setting, "/nix-repro-clock": library.parent}
        )


def _sandbox_paths(paths: Mapping[str, Path]) -> Change:
    return Change(
        options=(("extra-sandbox-paths", " ".join(f"{inside}={outside}" for inside, outside in paths.items())),)
    )


def _changed(seen: Side, experiment: Experiment) -> Side:
    """What a build saw that ran under the change."""
    if experiment.name == "clock-shifted" and seen.window is not None:
        start, end = seen.window
        return msgspec.structs.replace(seen, window=(start + LATER * 86400, end + LATER * 86400))
    if experiment.name == "build-path":
        return msgspec.structs.replace(seen, build_dir=ELSEWHERE)
    return seen
