"""Inside the budget or not, what each cache did, why anything was built: the part of a run that is about time."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from nix_repro.config import Config
from nix_repro.metrics import change, targets
from nix_repro.metrics import needed as account
from nix_repro.metrics.layers import HitRate, hit_rate, layers
from nix_repro.metrics.phases import critical_path
from nix_repro.metrics.scenario import scenario
from nix_repro.nix.caches.kinds import CACHE_STEPS, normal, recognise
from nix_repro.nix.caches.resilient import Robust
from nix_repro.nix.command import Nix, NixError
from nix_repro.nix.derivation import Derivation
from nix_repro.nix.graph import below
from nix_repro.nix.log.recorder import Recorder
from nix_repro.nix.machine import in_ci
from nix_repro.observations import Observations
from nix_repro.plan import compare as why
from nix_repro.plan.base import Base, at_revision, from_report
from nix_repro.plan.changed import differing_files
from nix_repro.plan.scope import Plan, since
from nix_repro.reasons import UPSTREAM
from nix_repro.report import (
    BuiltBecause,
    Caches,
    Change,
    ChangeClass,
    Layer,
    LockChange,
    Phase,
    Scenario,
    ScenarioName,
    Target,
)
from nix_repro.text import plural, store_name


@dataclass(frozen=True)
class Parts:
    """What goes into the report."""

    scenario: Scenario | None = None
    targets: tuple[Target, ...] = ()
    caches: Caches = field(default_factory=Caches)


@dataclass
class Books:
    """Keeps account of a run's caches and time. `upstream` holds the URLs of the upstream caches, without
    parameters."""

    config: Config
    nix: Nix
    environ: Mapping[str, str]
    cwd: Path
    warn: Callable[[str], None]
    upstream: tuple[str, ...] = ()
    robust: Robust = field(init=False)
    base: Base | None = None
    comparison: why.Comparison = field(default_factory=why.Comparison)
    needs: account.Needs = field(default_factory=account.Needs)
    _compared: set[str] = field(default_factory=set)
    _classes: dict[why.Root, ChangeClass] = field(default_factory=dict)
    _files: dict[why.Root, list[str] | None] = field(default_factory=dict)
    _lock: list[LockChange] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.robust = Robust(self.nix)

    def expect(self, upstream: Sequence[str], unreachable: Mapping[str, str]) -> None:
        """Which caches are upstream's, and which of them do not answer and so are not asked again."""
        self.upstream = self.robust.upstream = tuple(normal(url) for url in upstream)
        configured = {normal(url) for url in self.robust.configured()}
        self.robust.leave_out({normal(url): why for url, why in unreachable.items() if normal(url) in configured})

    def compare(self, plan: Plan) -> Plan:
        """Find the base that was asked for, compare the plan's installables with it, and leave out of the plan what
        `--since` is not about."""
        revision = self.config.since or self.config.base
        if self.config.base_report is not None and self.config.since is None:
            # Late: few runs have a report as their base.
            from nix_repro.output.directory import read_report

            self.base = from_report(self.nix, read_report(self.config.base_report), plan.installables)
        elif revision is not None:
            self.base = at_revision(
                self.nix, revision, self.config.installables, plan.installables, self.cwd, self.warn
            )
        if self.base is None:
            return plan
        there = self.base.installables
        roots = [(there[attr], drv_path) for attr, drv_path in plan.installables.items() if attr in there]
        self._compared = below(plan.derivations, [drv_path for _, drv_path in roots])
        if all(Path(old).is_file() for old, _ in roots if old is not None):
            self.comparison = why.compare(roots, self.base.derivations, self.nix.derivations, self.nix.derivations)
        else:
            self.comparison = why.compare_names(self.base.derivations, own(plan) & self._compared)
        self._lock = change.lock_changes(self.base.old_lock, self.base.new_lock) if self.base.files is not None else []
        context = change.Context(self.base.files, self._lock, own(plan))
        for root in self.comparison.blast():
            self._files[root] = differing_files(root.old, root.new) if root.kind == "source" else None
            self._classes[root] = change.classify(root, self._files[root], context)
        return since(plan, self.base.derivations | self.comparison.same) if self.config.since is not None else plan

    def after_build(self, plan: Plan, present: set[str], recorder: Recorder, seen: Observations) -> None:
        """Find out where everything came from, while the store knows."""
        restored = "github=success" in self.environ.get(CACHE_STEPS, "").split()
        try:
            self.needs = account.needs(
                self.nix, plan, present, recorder, seen, upstream=self.upstream, restored=restored
            )
        except NixError as error:
            self.warn(f"the cache layers are not known: {str(error).splitlines()[-1]}")

    def parts(self, plan: Plan, recorder: Recorder, phases: Sequence[Phase]) -> Parts:
        """Scenario, targets and caches of the run as far as it came."""
        rate = hit_rate(self.needs.places, self.needs.outputs, self._unchanged(plan))
        served = layers(self.needs.places, self.needs.sizes, fetched=recorder.substitutions, builds=recorder.builds)
        new = None in self.comparison.pairs.values()
        classes = change.worst(self._classes.values(), new=new) if self.base is not None else None
        row = scenario(
            ci=in_ci(self.environ),
            change=classes,
            served=self._served(plan),
            present=sum(place.kind == "local" for place in self.needs.places.values()),
            needed=len(self.needs.places),
            chosen=self.config.scenario,
        )
        values = targets.measured(phases, rate.rate)
        judged = targets.judge_targets(self._limits(row.name), values, self._evidence(plan, recorder, served, rate))
        caches = Caches(
            hit_rate=None if rate.rate is None else round(rate.rate, 4),
            layers=served,
            built=tuple(self._built_because(plan, path) for path in self.needs.built),
            incidents=tuple(self._incidents()),
            change=self._change(classes) if self.base is not None and classes is not None else None,
        )
        for finding in self._idle_findings():
            self.warn(finding)
        return Parts(row, judged, caches)

    def _limits(self, row: ScenarioName) -> dict[str, float]:
        asked = {limit.name for limit in self.config.targets}
        found = targets.limits(row, self.config.targets)
        # A default for a phase that the run does not have would only ever be "not measured".
        return {
            name: limit
            for name, limit in found.items()
            if name in asked or name != "test" or self.config.test != "none"
        }

    def _unchanged(self, plan: Plan) -> Callable[[Derivation], bool]:
        """Could a cache be expected to have it? With a base, what the base has; otherwise what is not the repository's
        own."""
        touched, open_question = self.comparison.pairs, own(plan) - self._compared
        return lambda drv: drv.drv_path not in touched and drv.drv_path not in open_question

    def _served(self, plan: Plan) -> dict[str, int]:
        """Paths by project cache. In CI the repository's own outputs in the local store count: somebody restored
        them."""
        counts: Counter[str] = Counter()
        mine = own(plan)
        for path, place in self.needs.places.items():
            drv = self.needs.outputs.get(path)
            if place.kind == "project" or (
                place.kind == "local" and in_ci(self.environ) and drv is not None and drv.drv_path in mine
            ):
                counts[place.name] += 1
        return dict(counts)

    def _evidence(self, plan: Plan, recorder: Recorder, served: Sequence[Layer], rate: HitRate) -> targets.Evidence:
        seconds: dict[str, float] = {}
        for activity in recorder.builds:
            seconds[activity.name] = (
                seconds.get(activity.name, 0.0) + (activity.stopped or activity.started) - activity.started
            )
        inputs = {path: tuple(drv.input_drvs) for path, drv in {**plan.derivations, **self.needs.derivations}.items()}
        jobs = self.config.jobs or str(self.nix.settings().get("max-jobs", ""))
        return targets.Evidence(
            builds=[(store_name(path), took) for path, took in seconds.items()],
            path=[(store_name(path), seconds[path]) for path in critical_path(seconds, inputs)],
            missed=[store_name(path) for path in rate.missed],
            fetched={
                layer.name: (layer.paths, layer.bytes, layer.seconds)
                for layer in served
                if layer.kind in ("project", "upstream")
            },
            slots=int(jobs) if jobs.isdecimal() else None,
        )

    def _built_because(self, plan: Plan, drv_path: str) -> BuiltBecause:
        pairs = self.comparison.pairs
        if drv_path in pairs:
            if pairs[drv_path] is None:
                return BuiltBecause(drv_path=drv_path, why="new")
            root = self.comparison.root.get(drv_path)
            if root is None:
                return BuiltBecause(drv_path=drv_path, why="changed")
            more = self.comparison.others[drv_path]
            line = self._root_line(root) + (f" (and {plural(more, 'more change')})" if more else "")
            return BuiltBecause(drv_path=drv_path, why="changed", root_change=line, change_class=self._classes[root])
        if drv_path in own(plan) - self._compared:
            missing = (
                "there is no base to compare with (--base)" if self.base is None else "it is not compared with the base"
            )
            return BuiltBecause(drv_path=drv_path, why="unknown", root_change=missing)
        drv = self.needs.derivations.get(drv_path)
        asked = (
            self._asked()
            if drv is None or not drv.never_fetched
            else "no cache is asked for it (allowSubstitutes = false)"
        )
        return BuiltBecause(drv_path=drv_path, why="cache miss", root_change=f"unchanged; {asked}")

    def _asked(self) -> str:
        """Which caches were asked, and which were left out."""
        urls = {normal(url): recognise(url, self.upstream).name for url in self.robust.configured()}
        asked = ", ".join(name for url, name in urls.items() if url not in self.robust.dropped)
        left = ", ".join(name for url, name in urls.items() if url in self.robust.dropped)
        if not urls:
            return "no cache is configured"
        return "; ".join(
            part for part in (f"asked: {asked}" if asked else "", f"left out: {left}" if left else "") if part
        )

    def _root_line(self, root: why.Root) -> str:
        files = self._files.get(root)
        if not files:
            return root.line()
        more = f" and {len(files) - 1} more" if len(files) > 1 else ""
        return f"{files[0]}{more} in the {root.line()}"

    def _change(self, classes: ChangeClass) -> Change:
        assert self.base is not None
        lock = change.with_blast(self._lock, self.comparison, self._classes)
        return Change(base=self.base.name, change_class=classes, derivations=len(self.comparison.pairs), lock=lock)

    def _incidents(self) -> list[str]:
        found: list[str] = []
        for incident in self.robust.incidents():
            place = recognise(incident.cache, self.upstream)
            found.append(dataclasses.replace(incident, cache=f"{place.name} ({incident.cache})").line())
        return found

    def _idle_findings(self) -> list[str]:
        found: list[str] = []
        for root, kind in self._classes.items():
            names = [store_name(path) for path in self.needs.built if self.comparison.root.get(path) == root]
            if kind == "none" and names:
                found.append(change.idle_finding(self._files[root] or [], names, root.name))
        return found


def own(plan: Plan) -> set[str]:
    """The repository's own derivations, fixed-output ones among them."""
    return {path for path in plan.derivations if plan.skipped.get(path) != UPSTREAM}
