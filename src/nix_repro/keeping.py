"""Keep both sides of what differs where the user asked for them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from nix_repro.check import Outcome
from nix_repro.errors import UsageError
from nix_repro.rebuild.copying import copy_tree


def keep_trees(outcome: Outcome, directory: Path) -> None:
    """`DIR/NAME/OUTPUT/{a,b}`: a is the build, b the rebuild. Derivations that share a name get their hash behind it.

    Raises `UsageError` when the directory cannot be written.
    """
    names = {d.drv_path: d.name for d in outcome.report.derivations if d.verdict == "divergent"}
    shared = Counter(names.values())
    try:
        for (drv_path, output), tree in outcome.seen.trees.items():
            if (name := names.get(drv_path)) is None:
                continue
            unique = name if shared[name] == 1 else f"{name}-{Path(drv_path).name[:8]}"
            for side, source in (("a", tree.a), ("b", tree.b)):
                to = directory / unique / output / side
                if to.exists() or to.is_symlink():
                    raise UsageError(f"--keep: {to} is already there")
                copy_tree(source, to)
    except OSError as error:
        raise UsageError(f"--keep: {error.filename}: {error.strerror}") from None
