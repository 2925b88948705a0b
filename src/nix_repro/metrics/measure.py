"""Inside the budget or not, what each cache did, why anything was built: facts of a run → measurements. Pure."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from nix_repro.metrics import targets
from nix_repro.metrics.built import Asked, Causes, built_because_all, change_report, idle_findings
from nix_repro.metrics.change import classify_all
from nix_repro.metrics.layers import HitRate, hit_rate, layers
from nix_repro.metrics.needed import Needs
from nix_repro.metrics.phases import critical_path
from nix_repro.metrics.scenario import scenario
from nix_repro.nix.caches.incidents import Incident
from nix_repro.nix.caches.kinds import recognise
from nix_repro.nix.log.recorder import Activity
from nix_repro.nix.store_path import store_name
from nix_repro.plan.against import Against
from nix_repro.plan.scope import Plan, own
from nix_repro.report import Caches, Layer, Phase, Scenario, ScenarioName, Target


@dataclass(frozen=True)
class Facts:
    """What a run knows of its time and its caches, as far as it came.

    `against` is the comparison with a base, None without one. `builds` and `fetches` are all attempts in order. `ci`
    says whether this is a CI's job, `tested` whether the run has a test phase, `chosen` which scenario the user named,
    `limits` what was asked for beside the defaults, `jobs` is Nix's max-jobs.
    """

    plan: Plan
    needs: Needs = field(default_factory=Needs)
    against: Against | None = None
    builds: Sequence[Activity] = ()
    fetches: Sequence[Activity] = ()
    phases: Sequence[Phase] = ()
    asked: Asked = field(default_factory=Asked)
    incidents: Sequence[Incident] = ()
    ci: bool = False
    tested: bool = False
    chosen: ScenarioName | None = None
    limits: Sequence[targets.Limit] = ()
    jobs: str = ""


@dataclass(frozen=True)
class Measurements:
    """What goes into the report. `warnings` are what the user should know and change."""

    scenario: Scenario | None = None
    targets: tuple[Target, ...] = ()
    caches: Caches = field(default_factory=Caches)
    warnings: tuple[str, ...] = ()


def measure(facts: Facts) -> Measurements:
    """Scenario, targets and caches of a run."""
    plan, needs, against = facts.plan, facts.needs, facts.against
    mine = own(plan)
    change = classify_all(against, mine) if against is not None else None
    causes = Causes(mine, against, change, facts.asked)
    rate = hit_rate(needs.places, needs.outputs, lambda drv: causes.unchanged(drv.drv_path))
    served = layers(needs.places, needs.sizes, fetched=facts.fetches, builds=facts.builds)
    row = scenario(
        ci=facts.ci,
        change=change.whole if change is not None else None,
        served=_served(facts, mine),
        present=sum(place.kind == "local" for place in needs.places.values()),
        needed=len(needs.places),
        chosen=facts.chosen,
    )
    values = targets.measured(facts.phases, rate.rate)
    judged = targets.judge_targets(
        _limits(facts, row.name), values, _circumstances(facts, served, rate), _advisory(facts, row.name)
    )
    caches = Caches(
        hit_rate=None if rate.rate is None else round(rate.rate, 4),
        layers=served,
        built=built_because_all({path: needs.derivations.get(path) for path in needs.built}, causes),
        incidents=tuple(_incident(incident, facts.asked) for incident in facts.incidents),
        change=change_report(against, change) if against is not None and change is not None else None,
    )
    idle = idle_findings(against, change.roots, needs.built) if against is not None and change is not None else ()
    return Measurements(row, judged, caches, tuple(idle))


def _limits(facts: Facts, row: ScenarioName) -> dict[str, float]:
    asked = {limit.name for limit in facts.limits}
    found = targets.limits(row, facts.limits)
    # A default for a phase that the run does not have would only ever be "not measured".
    return {name: limit for name, limit in found.items() if name in asked or name != "test" or facts.tested}


def _advisory(facts: Facts, row: ScenarioName) -> set[str]:
    """Outside CI a machine may be any: what nobody has set there is advice."""
    set_here = {limit.name for limit in facts.limits if limit.scenario in (None, row)}
    return set() if facts.ci else set(targets.NAMES) - set_here


def _served(facts: Facts, own: set[str]) -> dict[str, int]:
    """Paths by project cache. In CI the repository's own outputs in the local store count: somebody restored them."""
    counts: Counter[str] = Counter()
    for path, place in facts.needs.places.items():
        drv = facts.needs.outputs.get(path)
        restored = place.kind == "local" and facts.ci and drv is not None and drv.drv_path in own
        if place.kind == "project" or restored:
            counts[place.name] += 1
    return dict(counts)


def _circumstances(facts: Facts, served: Sequence[Layer], rate: HitRate) -> targets.Circumstances:
    seconds: dict[str, float] = {}
    for activity in facts.builds:
        took = (activity.stopped or activity.started) - activity.started
        seconds[activity.name] = seconds.get(activity.name, 0.0) + took
    derivations = {**facts.plan.derivations, **facts.needs.derivations}
    inputs = {path: tuple(drv.input_drvs) for path, drv in derivations.items()}
    fetching = [layer for layer in served if layer.kind in ("project", "upstream")]
    return targets.Circumstances(
        builds=[(store_name(path), took) for path, took in seconds.items()],
        path=[(store_name(path), seconds[path]) for path in critical_path(seconds, inputs)],
        missed=[store_name(path) for path in rate.missed],
        fetched={layer.name: (layer.paths, layer.bytes, layer.seconds) for layer in fetching},
        slots=int(facts.jobs) if facts.jobs.isdecimal() else None,
    )


def _incident(incident: Incident, asked: Asked) -> str:
    place = recognise(incident.cache, asked.upstream)
    return dataclasses.replace(incident, cache=f"{place.name} ({incident.cache})").line()
