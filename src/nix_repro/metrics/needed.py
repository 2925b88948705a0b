"""What the build needed and where it came from: asks the store once the build is over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from nix_repro.metrics.layers import attribute
from nix_repro.nix.caches.kinds import Place
from nix_repro.nix.command import Nix
from nix_repro.nix.derivation import Derivation
from nix_repro.nix.log.recorder import Recorder
from nix_repro.observations import Observations
from nix_repro.plan.scope import Plan


@dataclass(frozen=True)
class Needs:
    """Every needed path with the one place it came from; its NAR size in bytes; and which derivation makes it, for
    those that are known. `derivations` are the plan's and whatever else was built."""

    places: Mapping[str, Place] = field(default_factory=dict)
    sizes: Mapping[str, int] = field(default_factory=dict)
    outputs: Mapping[str, Derivation] = field(default_factory=dict)
    derivations: Mapping[str, Derivation] = field(default_factory=dict)

    @property
    def built(self) -> list[str]:
        """The .drv paths of what was built to the end, in the order of their paths."""
        found = (
            drv.drv_path
            for path, drv in self.outputs.items()
            if path in self.places and self.places[path].kind == "built"
        )
        return list(dict.fromkeys(found))


def needs(
    nix: Nix,
    plan: Plan,
    present: set[str],
    recorder: Recorder,
    seen: Observations,
    *,
    upstream: tuple[str, ...],
    restored: bool,
) -> Needs:
    """Needed are the outputs of the targets and of what was named with all that they refer to, whatever was fetched,
    and the outputs of what was built and of its inputs. Sources are not: no cache layer is asked for them."""
    ran = dict.fromkeys(activity.name for activity in recorder.builds)
    derivations = {**plan.derivations, **nix.derivations([path for path in ran if path not in plan.derivations])}
    beside = dict.fromkeys(
        i for path in ran if path in derivations for i in derivations[path].input_drvs if i not in derivations
    )
    derivations |= nix.derivations(beside)
    outputs = _outputs(derivations, seen)
    wanted = {*plan.targets, *plan.installables.values(), *ran}
    # Of an input only the outputs that its users name: others may be in the store by chance.
    inputs = {
        (i, name)
        for path in ran
        if path in derivations
        for i, names in derivations[path].input_drvs.items()
        for name in names
    }
    used = {
        derivations[i].outputs[name].path for i, name in inputs if i in derivations and name in derivations[i].outputs
    }
    candidates = {path for path, drv in outputs.items() if drv.drv_path in wanted or path in used}
    candidates |= {a.name for a in recorder.substitutions}
    valid = candidates - nix.invalid(candidates)
    closure = set(nix.requisites(sorted(valid))) | valid
    sources = {source for drv in derivations.values() for source in drv.input_srcs}
    infos = nix.path_info(sorted(path for path in closure - sources if not path.endswith(".drv")))
    built = {path for path, drv in outputs.items() if drv.drv_path in ran and path not in present and path in infos}
    fetched = {activity.name for activity in recorder.substitutions}
    needed = [p for p, info in infos.items() if p in outputs or p in fetched or info.deriver is not None]
    return Needs(
        attribute(
            needed,
            fetched=recorder.substitutions,
            built=_built_last(built, recorder, outputs),
            upstream=upstream,
            restored=restored,
        ),
        {path: info.nar_size for path, info in infos.items()},
        outputs,
        derivations,
    )


def _outputs(derivations: Mapping[str, Derivation], seen: Observations) -> dict[str, Derivation]:
    found = {o.path: drv for drv in derivations.values() for o in drv.outputs.values() if o.path is not None}
    for drv_path, attempt in seen.built().items():
        if drv_path in derivations:
            found |= {output.path: derivations[drv_path] for output in attempt.outputs.values()}
    return found


def _built_last(built: set[str], recorder: Recorder, outputs: Mapping[str, Derivation]) -> set[str]:
    """Of several outputs one may have been fetched after its derivation was built for another's sake, or before."""
    builds = {activity.name: activity.started for activity in recorder.builds}
    fetches = {activity.name: activity.started for activity in recorder.substitutions}
    return {path for path in built if fetches.get(path, 0.0) <= builds[outputs[path].drv_path]}
