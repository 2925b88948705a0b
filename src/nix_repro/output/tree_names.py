"""What the trees of a report's differing outputs are called where they are kept: `NAME/OUTPUT`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from nix_repro.observations import Tree
from nix_repro.report import Report


def tree_names(report: Report) -> dict[str, str]:
    """The NAME of each divergent derivation by .drv path. Derivations that share a name get their hash behind it."""
    names = {d.drv_path: d.name for d in report.derivations if d.verdict == "divergent"}
    shared = Counter(names.values())
    return {path: name if shared[name] == 1 else f"{name}-{Path(path).name[:8]}" for path, name in names.items()}


def named_trees(report: Report, trees: Mapping[tuple[str, str], Tree]) -> dict[str, Tree]:
    """The divergent derivations' trees (by .drv path and output) under their names."""
    names = tree_names(report)
    return {f"{names[path]}/{output}": tree for (path, output), tree in trees.items() if path in names}
