"""What the build needed and where it came from. What to ask the store, and what its answers mean, is pure; only
`find_needs` asks, once the build is over."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from nix_repro.metrics.layers import attribute
from nix_repro.nix.caches.kinds import CacheLayer
from nix_repro.nix.command import Nix
from nix_repro.nix.derivation import Derivation, PathInfo
from nix_repro.nix.log.recorder import Activity
from nix_repro.observations import Attempt
from nix_repro.plan.scope import Plan


@dataclass(frozen=True)
class Needs:
    """Every needed path with the one place it came from; its NAR size in bytes; and which derivation makes it, for
    those that are known. `derivations` are the plan's and whatever else was built."""

    places: Mapping[str, CacheLayer] = field(default_factory=dict)
    sizes: Mapping[str, int] = field(default_factory=dict)
    outputs: Mapping[str, Derivation] = field(default_factory=dict)
    derivations: Mapping[str, Derivation] = field(default_factory=dict)

    @property
    def built(self) -> list[str]:
        """The .drv paths of what was built to the end, in the order of their paths."""
        places = self.places
        found = (drv.drv_path for path, drv in self.outputs.items() if path in places and places[path].kind == "built")
        return list(dict.fromkeys(found))


@dataclass(frozen=True)
class Work:
    """What was seen of a build: all attempts at building and at fetching in order, the output paths that were valid
    before, and the first builds that succeeded, by .drv path."""

    builds: Sequence[Activity] = ()
    fetches: Sequence[Activity] = ()
    present: Collection[str] = frozenset()
    first: Mapping[str, Attempt] = field(default_factory=dict)


def find_needs(nix: Nix, plan: Plan, work: Work, *, upstream: Collection[str], restored: bool) -> Needs:
    """Ask the store what was needed. `upstream` are the URLs of upstream caches; `restored` says that a step of the
    action put paths into the local store before the run."""
    ran = dict.fromkeys(activity.name for activity in work.builds)
    derivations = {**plan.derivations, **nix.derivations(path for path in ran if path not in plan.derivations)}
    derivations |= nix.derivations(inputs_beside(ran, derivations))
    outputs = known_outputs(derivations, work.first)
    wanted = candidates(plan, work, derivations, outputs)
    valid = wanted - nix.invalid(wanted)
    closure = set(nix.requisites(sorted(valid))) | valid
    infos = nix.path_info(sorted(without_sources(closure, derivations)))
    return needs(work, derivations, outputs, infos, upstream=upstream, restored=restored)


def inputs_beside(ran: Iterable[str], derivations: Mapping[str, Derivation]) -> list[str]:
    """The .drv paths of the inputs of what was built that are not among `derivations` yet."""
    built = [derivations[path] for path in ran if path in derivations]
    return list(dict.fromkeys(i for drv in built for i in drv.input_drvs if i not in derivations))


def known_outputs(derivations: Mapping[str, Derivation], first: Mapping[str, Attempt]) -> dict[str, Derivation]:
    """Output paths with their derivations: those that are known beforehand, and those that a build has shown."""
    found = {o.path: drv for drv in derivations.values() for o in drv.outputs.values() if o.path is not None}
    for drv_path, attempt in first.items():
        if drv_path in derivations:
            found |= {output.path: derivations[drv_path] for output in attempt.outputs.values()}
    return found


def candidates(
    plan: Plan, work: Work, derivations: Mapping[str, Derivation], outputs: Mapping[str, Derivation]
) -> set[str]:
    """What may have been needed: the outputs of the targets, of what was named and of what was built; whatever was
    fetched; and of an input only the outputs that its users name, since others may be in the store by chance."""
    ran = {activity.name for activity in work.builds}
    wanted = {*plan.targets, *plan.installables.values(), *ran}
    named = {
        (i, name)
        for path in ran & derivations.keys()
        for i, names in derivations[path].input_drvs.items()
        for name in names
    }
    used = {
        derivations[i].outputs[name].path for i, name in named if i in derivations and name in derivations[i].outputs
    }
    found = {path for path, drv in outputs.items() if drv.drv_path in wanted or path in used}
    return found | {activity.name for activity in work.fetches}


def without_sources(closure: Iterable[str], derivations: Mapping[str, Derivation]) -> set[str]:
    """The paths that a cache layer may have served. It is never asked for sources and .drv files."""
    sources = {source for drv in derivations.values() for source in drv.input_srcs}
    return {path for path in closure if path not in sources and not path.endswith(".drv")}


def needs(
    work: Work,
    derivations: Mapping[str, Derivation],
    outputs: Mapping[str, Derivation],
    infos: Mapping[str, PathInfo],
    *,
    upstream: Collection[str],
    restored: bool,
) -> Needs:
    """What was needed, from what the store says of the closure (`infos`): what is known as an output, what was fetched,
    and what somebody built."""
    fetched = {activity.name for activity in work.fetches}
    needed = [path for path, info in infos.items() if path in outputs or path in fetched or info.deriver is not None]
    built = {path for path in built_last(work, outputs) if path in infos}
    places = attribute(needed, fetched=work.fetches, built=built, upstream=upstream, restored=restored)
    return Needs(places, {path: info.nar_size for path, info in infos.items()}, outputs, derivations)


def built_last(work: Work, outputs: Mapping[str, Derivation]) -> set[str]:
    """The outputs that this run's builders made. Of several outputs one may have been fetched after its derivation was
    built for another's sake, or before."""
    builds = {activity.name: activity.started for activity in work.builds}
    fetches = {activity.name: activity.started for activity in work.fetches}
    return {
        path
        for path, drv in outputs.items()
        if drv.drv_path in builds and path not in work.present and fetches.get(path, 0.0) <= builds[drv.drv_path]
    }
