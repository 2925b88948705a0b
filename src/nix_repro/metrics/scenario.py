"""Which row of the targets table applies to a run. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from nix_repro.report import ChangeClass, Scenario, ScenarioName


def scenario(
    *,
    ci: bool,
    change: ChangeClass | None,
    served: Mapping[str, int],
    present: int,
    needed: int,
    chosen: ScenarioName | None = None,
) -> Scenario:
    """Which row of the targets table applies.

    In CI `cold` when the change rebuilds everything or no project cache served anything, else `warm`; `served` counts
    the paths by project cache, what a restored store brought along included. Outside CI `first-time` when less than
    half of the `needed` paths was in the local store (`present`) or came from a project cache, else `cached`.
    """
    if chosen is not None:
        return Scenario(name=chosen, because="chosen in the configuration")
    caches = ", ".join(f"{name} {count}" for name, count in served.items() if count)
    if ci:
        if change == "full":
            return Scenario(name="cold", because="the change rebuilds everything (class full)")
        if not caches:
            return Scenario(name="cold", because="no project cache served anything")
        return Scenario(name="warm", because=f"paths from project caches: {caches}")
    here = present + sum(served.values())
    said = f"{min(here, needed)} of {needed} needed paths were in the local store or a project cache"
    return Scenario(name="cached" if needed and here * 2 >= needed else "first-time", because=said)
