"""Targets: what a limit can be set on, the limits by scenario, judged with advice that names what to look at. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

from nix_repro.report import Phase, PhaseName, ScenarioName, Target
from nix_repro.text import some

HIT_RATE = "hit rate"


@dataclass(frozen=True)
class Quantity:
    """A number of a run that can be limited: in which unit, and on which side of its limit it has to stay.

    Ratios are from 0 to 1. What has to stay above its limit is also well when it is 1, which nothing is above.
    """

    name: str
    unit: Literal["seconds", "ratio"] = "seconds"
    direction: Literal["at most", "above"] = "at most"

    def met(self, actual: float, limit: float) -> bool:
        """Whether a value is on the right side of its limit."""
        return actual <= limit if self.direction == "at most" else actual > limit or actual == 1.0


#: What a limit can be set on. `total` is the job without what only verification needs, and without `setup`: neither is
#: a cost of building.
QUANTITIES: Mapping[str, Quantity] = {
    quantity.name: quantity
    for quantity in (
        # diffoscope comes after the targets were judged.
        *(Quantity(phase) for phase in get_args(PhaseName) if phase != "diffoscope"),
        Quantity("verification"),
        Quantity(HIT_RATE, "ratio", "above"),
    )
}
NAMES: tuple[str, ...] = tuple(QUANTITIES)
SCENARIOS: tuple[str, ...] = get_args(ScenarioName)
#: Phases that only verification needs.
VERIFICATION = ("rebuild", "explain", "base", "refetch")
#: What is no part of the total: that, and the making of our own Python environment.
ASIDE = ("setup", *VERIFICATION)

#: Seconds, and a ratio for the hit rate, which says something only where the caches could have helped.
DEFAULTS: Mapping[ScenarioName, Mapping[str, float]] = {
    "cold": {"build": 420, "test": 60},
    "warm": {"build": 120, "test": 60, "total": 120, HIT_RATE: 0.95},
    "first-time": {"total": 600, "test": 60},
    "cached": {"build": 30, "test": 60},
}
#: Derivations named in an advice.
_NAMED = 3


@dataclass(frozen=True)
class Limit:
    """A limit that was asked for; `scenario` None means in every one, `value` None switches the target off."""

    name: str
    value: float | None
    scenario: str | None = None


@dataclass(frozen=True)
class Circumstances:
    """What an overrun is explained with. `builds` are (name, seconds) of what was built, `path` those of the critical
    path in order; `missed` names what no cache had though nothing changed; `slots` is Nix's max-jobs."""

    builds: Sequence[tuple[str, float]] = ()
    path: Sequence[tuple[str, float]] = ()
    missed: Sequence[str] = ()
    fetched: Mapping[str, tuple[int, int | None, float | None]] = field(default_factory=dict)
    slots: int | None = None


def quantity(name: str) -> Quantity:
    """What a report names. It may be another version's: what is not known here is taken for seconds."""
    return QUANTITIES.get(name) or Quantity(name)


def limits(scenario: ScenarioName, asked: Iterable[Limit]) -> dict[str, float]:
    """The limits of a scenario, in the order of `NAMES`. Later ones win, those for this scenario over those for all."""
    found: dict[str, float | None] = dict(DEFAULTS[scenario])
    chosen = [limit for limit in asked if limit.scenario in (None, scenario)]
    for limit in sorted(chosen, key=lambda limit: limit.scenario is not None):
        found[limit.name] = limit.value
    return {name: value for name in NAMES if (value := found.get(name)) is not None}


def measured(phases: Iterable[Phase], hit_rate: float | None) -> dict[str, float | None]:
    """The values that limits are held against; None or missing: not measured."""
    found: dict[str, float | None] = {HIT_RATE: hit_rate}
    for phase in phases:
        found[phase.name] = (found.get(phase.name) or 0.0) + phase.seconds
    cost = sum(found.get(name) or 0.0 for name in VERIFICATION)
    if any(name in found for name in VERIFICATION):
        found["verification"] = round(cost, 3)
    total = found.get("total")
    if total is not None:
        found["total"] = round(max(total - sum(found.get(name) or 0.0 for name in ASIDE), 0.0), 3)
    return found


def judge_targets(
    limits: Mapping[str, float],
    values: Mapping[str, float | None],
    circumstances: Circumstances,
    advisory: Collection[str] = (),
) -> tuple[Target, ...]:
    """Every limit held against its value. Those that are `advisory` fail nothing."""
    targets: list[Target] = []
    for name, limit in limits.items():
        actual = values.get(name)
        ok = None if actual is None else quantity(name).met(actual, limit)
        advice = None if ok is not False else _advice(name, limit, values, circumstances)
        targets.append(Target(name=name, limit=limit, actual=actual, ok=ok, advice=advice, advisory=name in advisory))
    return tuple(targets)


def _advice(name: str, limit: float, values: Mapping[str, float | None], circumstances: Circumstances) -> str:
    match name:
        case "build":
            return _about_builds(limit, values.get("build") or 0.0, circumstances)
        case "fetch":
            return _about_fetching(circumstances)
        case "test":
            return (
                "this is what the tests take: run fewer here, or split them into checks that Nix can cache one by one"
            )
        case "total":
            return _about_total(limit, values, circumstances)
        case "hit rate":
            names = some(circumstances.missed, _NAMED) or "some paths"
            return f"no cache had {names}, though nothing changed in it: do the default branch's runs write to it?"
        case "rebuild" | "verification" | "explain" | "base" | "refetch":
            return (
                "this is the cost of verifying, not of building: narrow the scope, or verify only what changed "
                "(--since)"
            )
        case "evaluate":
            return (
                "Nix spent this on evaluating, which no cache shortens: name fewer installables, avoid import from "
                "derivation"
            )
        case "setup":
            return "this is nix-repro making its own Python environment, which takes under a second where uv is on PATH"
        case _:
            return f"look at the step that does the {name}: this tool only measures it"


def _about_total(limit: float, values: Mapping[str, float | None], circumstances: Circumstances) -> str:
    total, aside = values.get("total") or 0.0, {"total", "verification", *ASIDE}
    parts = {k: v for k, v in values.items() if v and k not in aside and quantity(k).unit == "seconds"}
    # Phases may overlap, so that this is the least of what lies outside all of them.
    outside = total - sum(parts.values())
    largest = max(parts, key=lambda k: parts[k], default=None)
    if largest is None or outside > parts[largest]:
        return (
            f"{outside:.1f} s of it are in no phase: waiting for another run, or for the store and caches to answer. "
            "The job's log says what was done when"
        )
    # What the limit leaves for it beside the others.
    left = limit - total + parts[largest]
    said = f"{'most' if parts[largest] * 2 > total else 'the largest part'} of it is {largest} ({parts[largest]:.1f} s)"
    return f"{said}: {_advice(largest, left, values, circumstances)}"


def _about_builds(limit: float, seconds: float, circumstances: Circumstances) -> str:
    slowest = sorted(circumstances.builds, key=lambda build: -build[1])[:_NAMED]
    said = (
        "slowest: " + ", ".join(f"{name} {took:.1f} s" for name, took in slowest)
        if slowest
        else "nothing was built to the end"
    )
    along = sum(took for _, took in circumstances.path)
    if circumstances.path:
        said += f"; critical path {_chain(circumstances.path)} = {along:.1f} s"
    if circumstances.missed:
        return f"{said}; {some(circumstances.missed, _NAMED)} did not change and should have come from a cache"
    # With as many jobs as there is work for, building takes as long as this path does.
    if along > limit or along >= 0.95 * seconds:
        return f"{said}; more cores do not help: split the longest derivation of that path"
    if circumstances.slots is not None and len(circumstances.builds) <= circumstances.slots:
        return (
            f"{said}; builds waited for what they are built from, and there were free slots: fetch it sooner or nearer"
        )
    slots = f" (max-jobs is {circumstances.slots})" if circumstances.slots is not None else ""
    return f"{said}; builds waited for free slots: more jobs{slots} or a larger runner"


def _about_fetching(circumstances: Circumstances) -> str:
    rows = [
        f"{name} {paths} paths" + (f" at {size / took / 1e6:.1f} MB/s" if size and took else "")
        for name, (paths, size, took) in circumstances.fetched.items()
    ]
    return f"fetched: {', '.join(rows) or 'nothing'}; a smaller closure or a nearer cache shortens it"


def _chain(path: Sequence[tuple[str, float]]) -> str:
    names = [name for name, _ in path]
    return " → ".join(names if len(names) <= 5 else [*names[:2], "…", *names[-2:]])
