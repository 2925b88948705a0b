"""Intervals → seconds. Fetching and building overlap, so phases come from the union of intervals, never from sums.

Also what follows from the times: which row of the targets table applies, and which chain of builds the run waited for.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Literal

from nix_repro.report import ChangeClass, Phase, Scenario

Interval = tuple[float, float]
ScenarioName = Literal["cold", "warm", "first-time", "cached"]


def union(intervals: Iterable[Interval]) -> list[Interval]:
    """The intervals merged where they touch, in order."""
    merged: list[Interval] = []
    for start, stop in sorted(i for i in intervals if i[1] > i[0]):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], stop))
        else:
            merged.append((start, stop))
    return merged


def covered(intervals: Iterable[Interval]) -> float:
    """Seconds during which at least one of the intervals was running."""
    return sum(stop - start for start, stop in union(intervals))


def critical_path(seconds: Mapping[str, float], inputs: Mapping[str, Collection[str]]) -> list[str]:
    """The chain of builds, each an input of the next, that took longest: no number of machines makes the build shorter.

    `seconds` are those of the derivations that were built; `inputs` may name others, which nothing waited for. What is
    on a cycle (no derivation is) or has no seconds is passed over. Iterative: graphs are deeper than Python's stack.
    """
    best: dict[str, float] = {}
    before: dict[str, str | None] = {}
    for root in seconds:
        stack = [(root, False)]
        opened: set[str] = set()
        while stack:
            path, ready = stack.pop()
            if path in best:
                continue
            if not ready:
                if path not in opened:
                    opened.add(path)
                    stack.append((path, True))
                    stack += [(i, False) for i in inputs.get(path, ()) if i in seconds and i not in best and i not in opened]
                continue
            longest = max((i for i in inputs.get(path, ()) if i in best), key=lambda i: (best[i], i), default=None)
            before[path] = longest
            best[path] = seconds[path] + (best[longest] if longest is not None else 0.0)
    chain: list[str] = []
    at: str | None = max(best, key=lambda path: (best[path], path), default=None)
    while at is not None:
        chain.append(at)
        at = before[at]
    return chain[::-1]


def job_phases(noted: Sequence[str | None], now: float) -> tuple[float, list[Phase]]:
    """When the job began, and what came before this process: installing Nix and switching on the caches.

    `noted` is what the action's own steps noted (seconds since the epoch): its start, Nix installed, the launcher called.
    Without them the job begins `now`; what lies in the future or more than a day back is no note of this job.
    """
    begun, ready, called = (_stamp(text, now) for text in noted)
    ended = called or now
    if begun is None:
        return now, []
    if ready is None or ready < begun:
        return begun, [Phase(name="install", seconds=round(max(ended - begun, 0.0), 3))]
    install = Phase(name="install", seconds=round(ready - begun, 3))
    return begun, [install, Phase(name="cache", started=round(ready - begun, 3), seconds=round(max(ended - ready, 0.0), 3))]


def _stamp(text: str | None, now: float) -> float | None:
    try:
        at = float(text or "")
    except ValueError:
        return None
    return at if now - 86400 < at <= now else None


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
