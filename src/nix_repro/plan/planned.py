"""What a check would do, as one value: `nix-repro plan` prints it, and its JSON form is a contract of its own, with the
schema in docs/plan.schema.json. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Literal

from nix_repro.nix.derivation import Derivation
from nix_repro.nix.store_path import store_name
from nix_repro.parts import Part, VerificationCost
from nix_repro.plan.scope import Plan
from nix_repro.reasons import FIXED_OUTPUT, IMPURE, NOT_NAMED, UNCHANGED, UNREACHABLE, UPSTREAM, Reason
from nix_repro.report import Scope

#: What a derivation is to the run: the repository's `own` are built again and compared, the others are not.
ScopeClass = Literal["own", "upstream", "fixed-output", "impure", "unchanged", "not-named", "unreachable"]
#: What its first build comes to.
FirstBuild = Literal["build", "fetch", "present"]
#: What earlier builds of it come to, if this one's is as the last: enough of them agree, they do not, or they are few.
Foreseen = Literal["verified", "diverges", "seen"]

_CLASSES: Mapping[Reason, ScopeClass] = {
    UPSTREAM: "upstream",
    FIXED_OUTPUT: "fixed-output",
    IMPURE: "impure",
    UNCHANGED: "unchanged",
    NOT_NAMED: "not-named",
    UNREACHABLE: "unreachable",
}


class PlannedDerivation(Part, frozen=True, kw_only=True):
    """One derivation that was looked at. `attrs` are the installables that name it. `scope_class` says whether it is
    compared: only if it is `own`; for the others `reason` says why not. `first_build` says whether the outputs have to
    be built, are fetched from `cache`, or are `present`; it is null for what is looked at only because something needs
    it. `outputs` are store paths by name, null while nobody can know them. `known` says what the ledger is expected to
    say of it, null for nothing: what is `verified` is not built again."""

    drv_path: str
    name: str
    attrs: tuple[str, ...]
    scope_class: ScopeClass
    reason: str | None
    first_build: FirstBuild | None
    cache: str | None
    outputs: dict[str, str | None]
    known: Foreseen | None = None


class Planned(Part, frozen=True, kw_only=True):
    """What a check would do. `installables` maps what is named to .drv paths. `derivations` are those to compare,
    dependencies first, and then the others. When `upstream_unreachable`, only the build will show which are the
    repository's own. See docs/report.md for the contract."""

    version: Literal[1] = 1
    tool: str
    system: str
    nix_version: str
    nix_implementation: str
    scope: Scope
    installables: dict[str, str]
    derivations: tuple[PlannedDerivation, ...]
    upstream_unreachable: bool = False
    verification: VerificationCost | None = None
    warnings: tuple[str, ...] = ()


def planned_derivations(
    plan: Plan, present: Collection[str], where: Mapping[str, str]
) -> tuple[PlannedDerivation, ...]:
    """Every derivation of a plan. `present` are the output paths that are valid already, `where` the cache that has an
    output path."""
    asked = {*plan.targets, *plan.installables.values()}
    return tuple(
        _planned(plan, drv_path, _first(plan.derivations[drv_path], present, where) if drv_path in asked else None)
        for drv_path in dict.fromkeys(_in_order(plan))
    )


def _in_order(plan: Plan) -> Iterable[str]:
    return (*plan.targets, *plan.installables.values(), *plan.skipped)


def _planned(plan: Plan, drv_path: str, first: tuple[FirstBuild, str | None] | None) -> PlannedDerivation:
    reason, drv = plan.skipped.get(drv_path), plan.derivations.get(drv_path)
    return PlannedDerivation(
        drv_path=drv_path,
        name=drv.name if drv is not None else store_name(drv_path),
        attrs=plan.attrs(drv_path),
        scope_class="own" if reason is None else _CLASSES[reason],
        reason=None if reason is None else reason.text,
        first_build=first and first[0],
        cache=first and first[1],
        outputs={name: output.path for name, output in drv.outputs.items()} if drv is not None else {},
    )


def _first(drv: Derivation, present: Collection[str], where: Mapping[str, str]) -> tuple[FirstBuild, str | None]:
    paths = sorted(output.path for output in drv.outputs.values() if output.path is not None)
    missing = [path for path in paths if path not in present]
    if len(paths) < len(drv.outputs):
        return "build", None
    if not missing:
        return "present", None
    return ("fetch", where[missing[0]]) if all(path in where for path in missing) else ("build", None)
