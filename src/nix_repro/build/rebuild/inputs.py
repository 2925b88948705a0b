"""What the second build stands on: the inputs, and the groups in which targets can be built again."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from nix_repro.build.rebuild.attempts import not_built
from nix_repro.build.rebuild.protocol import Answer, Request
from nix_repro.nix.command import Nix
from nix_repro.nix.derivation import Derivation
from nix_repro.nix.graph import above
from nix_repro.nix.log.recorder import Recorder
from nix_repro.nix.store_path import outputs_of
from nix_repro.observations import Attempt, Tree
from nix_repro.reasons import INPUT_CHANGED

#: Outputs of one derivation in one word: Linux takes none of more than 128 KiB, and a name may have 211 characters.
_OUTPUTS = 500


def wanted_inputs(targets: Sequence[Derivation]) -> dict[str, set[str]]:
    """The outputs of other derivations that the targets are built from, by .drv path."""
    own = {drv.drv_path for drv in targets}
    wanted: dict[str, set[str]] = {}
    for drv in targets:
        for input_drv, outputs in drv.input_drvs.items():
            if input_drv not in own:
                wanted.setdefault(input_drv, set()).update(outputs)
    return wanted


def input_installables(targets: Sequence[Derivation]) -> list[str]:
    """The same as `DRV!out,dev`."""
    return [
        outputs_of(drv_path, sorted(outputs)[start : start + _OUTPUTS])
        for drv_path, outputs in sorted(wanted_inputs(targets).items())
        for start in range(0, len(outputs), _OUTPUTS)
    ]


def realise_inputs(nix: Nix, targets: Sequence[Derivation], recorder: Recorder) -> list[str]:
    """Have the build inputs in the store (a substituted target does not bring them) and say where they are."""
    wanted = input_installables(targets)
    sources = [src for drv in targets for src in drv.input_srcs]
    if not wanted:
        return list(dict.fromkeys(sources))
    done = nix.stream(recorder.feed, "nix-store", "--realise", "--keep-going", paths=wanted)
    return list(dict.fromkeys([*sources, *done.stdout.decode("utf-8", "replace").split()]))


def batches(
    nix: Nix, targets: Sequence[Derivation], first: Mapping[str, Attempt], recorder: Recorder
) -> Iterable[tuple[list[Derivation], list[str]]]:
    """The targets in groups, each with the closure of its inputs, such that no group's inputs hold the group's outputs.

    One group nearly always: a second is needed when something outside the targets was built from one of them.
    """
    group = list(targets)
    while group:
        closure = nix.requisites(realise_inputs(nix, group, recorder))
        now, later = parted(group, closure, first)
        if not later:
            yield now, closure
            return
        yield now, nix.requisites(realise_inputs(nix, now, recorder))
        group = later


def parted(
    group: Sequence[Derivation], closure: Iterable[str], first: Mapping[str, Attempt]
) -> tuple[list[Derivation], list[Derivation]]:
    """Which of the group are built again now, and which later: those that the inputs of the group were built from.

    All now when it is all of them: waiting would part nothing.
    """
    present = set(closure)
    later = [drv for drv in group if any(seen.path in present for seen in first[drv.drv_path].outputs.values())]
    if len(later) == len(group):
        return list(group), []
    return [drv for drv in group if drv not in later], later


def on_other_inputs(
    nix: Nix, request: Request, closure: Iterable[str], together: Iterable[Derivation] = ()
) -> set[str]:
    """The targets that would not stand on what the builds to compare with have made, because the store holds something
    else in its place: another run was here, or what was replaced could not be put back. `closure` are the valid paths
    that the targets are built from, and `together` is built again with them."""
    again = {drv.drv_path for drv in together}
    made = {
        seen.path: seen.nar_hash
        for drv_path, build in request.first.items()
        if drv_path not in again
        for seen in build.outputs.values()
    }
    now = nix.valid_hashes(path for path in dict.fromkeys(closure) if path in made)
    other = {path for path, nar_hash in now.items() if nar_hash != made[path]}
    direct = {
        drv.drv_path for drv in request.targets if any(now.get(p) != made[p] for p in _wanted(drv, request, made))
    }
    return direct | built_from(nix, request.targets, other)


def _wanted(drv: Derivation, request: Request, made: Collection[str]) -> Iterator[str]:
    """Where the inputs are that the derivation takes from what is compared, as far as that is not built again."""
    for input_drv, outputs in drv.input_drvs.items():
        if (build := request.first.get(input_drv)) is not None:
            yield from (build.outputs[o].path for o in outputs if o in build.outputs and build.outputs[o].path in made)


def built_from(nix: Nix, targets: Sequence[Derivation], paths: Collection[str]) -> set[str]:
    """The targets whose inputs hold one of the paths, and those that are built from such a target."""
    if not paths:
        return set()
    found = set()
    for drv in targets:
        inputs = realise_inputs(nix, [drv], Recorder())
        if not {*nix.requisites(inputs)}.isdisjoint(paths):
            found.add(drv.drv_path)
    return found | above({drv.drv_path: drv for drv in targets}, found)


def by_groups(
    nix: Nix, request: Request, recorder: Recorder, rebuild: Callable[[Request, list[str]], Answer]
) -> Answer:
    """Rebuild the request group by group (see `batches`) and put the answers together. What would not stand on the
    inputs that it needs is not even tried."""
    attempts: list[Attempt] = []
    trees: dict[tuple[str, str], Tree] = {}
    for group, closure in batches(nix, request.targets, request.first, Recorder(watcher=recorder.watcher)):
        part = replace(request, targets=tuple(group))
        spoilt = on_other_inputs(nix, part, closure, group)
        attempts += not_built(
            [drv for drv in group if drv.drv_path in spoilt], request.round, INPUT_CHANGED, isolated=request.isolated
        )
        if good := tuple(drv for drv in group if drv.drv_path not in spoilt):
            answer = rebuild(replace(part, targets=good), closure)
            attempts += answer.attempts
            trees |= answer.trees
    return Answer(tuple(attempts), trees)
