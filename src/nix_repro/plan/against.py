"""This run's derivations against the base's: which differ, where that began, and in which files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from nix_repro.nix.command import Nix
from nix_repro.nix.graph import below
from nix_repro.plan.base import Base
from nix_repro.plan.changed import differing_files
from nix_repro.plan.compare import Comparison, Root, compare, compare_names
from nix_repro.plan.scope import Plan, own


@dataclass(frozen=True)
class Against:
    """A plan compared with a base.

    `compared` are the derivations of the plan that have a place in the comparison: what lies below installables that
    the base was asked for; of the `unsure` ones, the counterpart may be another of the same name. `files` are, for each
    root change and what is beside it, the files that differ between both sources; None where it is no source, or nobody
    can tell.
    """

    base: Base
    comparison: Comparison
    compared: frozenset[str]
    files: Mapping[Root, list[str] | None]
    unsure: frozenset[str] = frozenset()

    @property
    def known(self) -> frozenset[str]:
        """The derivations that the base has too, or has in all but name."""
        return self.base.derivations | self.comparison.same


def against(nix: Nix, plan: Plan, base: Base) -> Against:
    """Compare a plan with a base. Reads derivations of both, and sources, out of the store."""
    there = base.installables
    roots = [(there[attr], drv_path) for attr, drv_path in plan.installables.items() if attr in there]
    compared = frozenset(below(plan.derivations, [drv_path for _, drv_path in roots]))
    unsure: frozenset[str] = frozenset()
    if all(Path(old).is_file() for old, _ in roots if old is not None):
        comparison = compare(roots, base.derivations, nix.derivations, nix.derivations)
    else:
        comparison, unsure = compare_names(roots, base.derivations, own(plan) & compared)
    roots_and_more = [each for root in comparison.blast() for each in (root, *comparison.beside.get(root, ()))]
    files = {root: differing_files(root.old, root.new) if root.kind == "source" else None for root in roots_and_more}
    return Against(base, comparison, compared, files, unsure)
