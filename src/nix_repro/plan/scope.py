"""Which derivations the run is about, and why the others are left out. Pure: what it asks is passed in."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from nix_repro.nix.derivation import Derivation
from nix_repro.nix.graph import in_order
from nix_repro.reasons import FIXED_OUTPUT, IMPURE, NOT_NAMED, UNCHANGED, UNREACHABLE, UPSTREAM, Reason
from nix_repro.report import Scope


@dataclass(frozen=True)
class Plan:
    """`derivations` holds all that were looked at, `targets` those to build and rebuild (dependencies first),
    `skipped` the others with the reason. `installables` maps attribute paths to .drv paths. When
    `upstream_unreachable`, the targets are the whole closure until the build shows which of it was built here."""

    installables: Mapping[str, str]
    derivations: Mapping[str, Derivation]
    targets: tuple[str, ...]
    skipped: Mapping[str, Reason]
    upstream_unreachable: bool = False

    def attrs(self, drv_path: str) -> tuple[str, ...]:
        """The installables that name this derivation."""
        return self._attrs.get(drv_path, ())

    @cached_property
    def _attrs(self) -> dict[str, tuple[str, ...]]:
        found: dict[str, tuple[str, ...]] = {}
        for attr, path in self.installables.items():
            found[path] = (*found.get(path, ()), attr)
        return found

    @property
    def tops(self) -> list[str]:
        """What is named and nothing else here is made of: who keeps these .drv files keeps those of all the others."""
        below = {path for drv in self.derivations.values() for path in drv.input_drvs}
        return [path for path in dict.fromkeys(self.installables.values()) if path not in below]

    def top_of(self, drv_path: str) -> str:
        """An installable that names this derivation or depends on it."""
        named = self.attrs(drv_path)
        return named[0] if named else self._tops[drv_path]

    @cached_property
    def _tops(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for attr, root in self.installables.items():
            stack = [root]
            while stack:
                if (path := stack.pop()) not in found:
                    found[path] = attr
                    stack += self.derivations[path].input_drvs if path in self.derivations else ()
        return found


#: Derivations by .drv path; with `True` everything below them too.
Show = Callable[[Iterable[str], bool], Mapping[str, Derivation]]
#: Which of the store paths an upstream cache has; None: none could be asked.
Available = Callable[[Iterable[str]], set[str] | None]


def make_plan(installables: Mapping[str, str], scope: Scope, show: Show, available: Available | None) -> Plan:
    """Walk the graph from the installables as far as the scope reaches.

    `available` is None when no upstream cache is configured: then everything is the repository's own.
    """
    roots = list(dict.fromkeys(installables.values()))
    match scope:
        case "installables":
            return _installables_only(installables, show(roots, False))
        case "closure":
            return _finish(installables, show(roots, True), {})
        case "own":
            return _own(installables, roots, show if available is not None else _at_once(show, roots), available)


def _at_once(show: Show, roots: Sequence[str]) -> Show:
    """`show` for a graph that is read completely anyway. It asks only once, because every question starts a Nix
    process."""
    everything = show(roots, True)
    return lambda paths, _: {path: everything[path] for path in paths}


def _installables_only(installables: Mapping[str, str], derivations: Mapping[str, Derivation]) -> Plan:
    inputs = {i for drv in derivations.values() for i in drv.input_drvs} - derivations.keys()
    return _finish(installables, derivations, dict.fromkeys(sorted(inputs), NOT_NAMED))


def _own(installables: Mapping[str, str], roots: Sequence[str], show: Show, available: Available | None) -> Plan:
    """Level by level from the top, so that only the repository's part of a large graph is ever read."""
    wanted: dict[str, set[str]] = {root: set() for root in roots}
    seen: dict[str, Derivation] = {}
    skipped: dict[str, Reason] = {}
    level = list(roots)
    while level:
        shown = {path: drv for path, drv in show(level, False).items() if path not in seen}
        seen |= shown
        paths = {drv_path: _wanted_paths(drv, wanted[drv_path]) for drv_path, drv in shown.items()}
        ask = [path for drv_path, found in paths.items() if not shown[drv_path].fixed_output for path in found]
        have = available(ask) if available is not None and ask else set()
        if have is None:
            # Nobody can tell what is the repository's own. The build will show it, as far as it builds anything.
            return replace(_finish(installables, show(roots, True), {}), upstream_unreachable=True)
        level = []
        # Settle what upstream has before following the rest, which may want more outputs of the same derivations.
        skipped |= {
            path: UPSTREAM
            for path, found in paths.items()
            if found and not shown[path].fixed_output and have.issuperset(found)
        }
        for drv in [drv for path, drv in shown.items() if path not in skipped and not drv.fixed_output]:
            for input_drv, outputs in drv.input_drvs.items():
                # It is looked up again if another derivation wants outputs of it that nobody has asked the caches for.
                new = set(outputs) - wanted.setdefault(input_drv, set())
                wanted[input_drv] |= new
                if input_drv not in seen:
                    level.append(input_drv)
                elif new and skipped.pop(input_drv, None) is not None:
                    del seen[input_drv]
                    level.append(input_drv)
        level = list(dict.fromkeys(level))
    return _finish(installables, seen, skipped)


def own(plan: Plan) -> set[str]:
    """The repository's own derivations, fixed-output ones among them."""
    return {path for path in plan.derivations if plan.skipped.get(path) != UPSTREAM}


def built_here(plan: Plan, built: set[str]) -> Plan:
    """The plan when no upstream cache could be reached: what this run built is the repository's own, and the rest is
    unverified."""
    rest = {path: UNREACHABLE for path in plan.targets if path not in built}
    return replace(
        plan, targets=tuple(path for path in plan.targets if path in built), skipped={**plan.skipped, **rest}
    )


def since(plan: Plan, known: Collection[str]) -> Plan:
    """The plan without the derivations that another revision has too (`known`)."""
    same = {path: UNCHANGED for path in plan.targets if path in known}
    return replace(
        plan, targets=tuple(path for path in plan.targets if path not in same), skipped={**plan.skipped, **same}
    )


def _wanted_paths(drv: Derivation, outputs: Iterable[str]) -> list[str]:
    """The paths of the outputs that are wanted (all of them if nobody said which), or none if Nix cannot know them
    yet."""
    found = [drv.outputs[name].path for name in (set(outputs) or drv.outputs) if name in drv.outputs]
    return [path for path in found if path is not None] if None not in found else []


def _finish(
    installables: Mapping[str, str], derivations: Mapping[str, Derivation], skipped: Mapping[str, Reason]
) -> Plan:
    reasons = dict(skipped)
    for drv_path, drv in derivations.items():
        if drv_path not in reasons and (drv.fixed_output or drv.impure):
            reasons[drv_path] = FIXED_OUTPUT if drv.fixed_output else IMPURE
    targets = tuple(path for path in in_order(derivations) if path not in reasons)
    return Plan(dict(installables), dict(derivations), targets, reasons)
