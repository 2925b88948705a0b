"""What `nix-repro plan` prints: what would be built, fetched from which cache, and rebuilt."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Mapping

from rich.console import Console
from rich.text import Text

from nix_repro.nix.store_path import store_name
from nix_repro.output.render.escape import visible
from nix_repro.plan.scope import Plan

#: Names listed under each heading.
LISTED = 30


def print_plan(plan: Plan, present: set[str], where: Mapping[str, str]) -> None:
    """`present` are the output paths that are valid already, `where` the cache that has an output path."""
    console = Console(file=sys.stdout, highlight=False)
    built: list[str] = []
    there: list[str] = []
    fetched: dict[str, list[str]] = {}
    for drv_path in dict.fromkeys([*plan.targets, *plan.installables.values()]):
        paths = {o.path for o in plan.derivations[drv_path].outputs.values()}
        if None not in paths and paths <= present:
            there.append(drv_path)
        elif None not in paths and all(path in present or path in where for path in paths):
            cache = next(where[path] for path in sorted(p for p in paths if p) if path in where)
            fetched.setdefault(cache, []).append(drv_path)
        else:
            built.append(drv_path)
    _section(console, "would be built", built)
    for cache, drv_paths in fetched.items():
        _section(console, f"would be fetched from {cache}", drv_paths)
    _section(console, "already in the store", there)
    _section(console, "would be rebuilt and compared", list(plan.targets))
    for reason, count in Counter(plan.skipped.values()).most_common():
        _section(
            console,
            f"would not be rebuilt: {reason.text}",
            [path for path, why in plan.skipped.items() if why == reason],
            count,
        )


def _section(console: Console, title: str, drv_paths: list[str], count: int | None = None) -> None:
    if drv_paths:
        console.print(Text(f"{count or len(drv_paths)} {title}:", style="bold"))
        for drv_path in drv_paths[:LISTED]:
            console.print(Text(f"  {visible(store_name(drv_path))}"), soft_wrap=True)
        if len(drv_paths) > LISTED:
            console.print(f"  and {len(drv_paths) - LISTED} more")
