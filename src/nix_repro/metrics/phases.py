"""When the phases of a run began and how long they took, and which chain of builds it waited for. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from nix_repro.report import Phase


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
                    stack += [
                        (i, False) for i in inputs.get(path, ()) if i in seconds and i not in best and i not in opened
                    ]
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


#: The environment variables in which the action's own steps noted when the job began, when Nix was there, and when the
#: launcher was called (seconds since the epoch).
NOTED = ("NIX_REPRO_STARTED", "NIX_REPRO_INSTALLED", "NIX_REPRO_CALLED")


def job_phases(noted: Sequence[str | None], now: float) -> tuple[float, list[Phase]]:
    """When the job began, and what came before this process: installing Nix, switching on the caches, and `setup`,
    in which the launcher made our own Python environment.

    `noted` is what the action's own steps noted (seconds since the epoch): its start, Nix installed, the launcher
    called. Without them the job begins `now`; what lies in the future or more than a day back is no note of this job.
    """
    begun, ready, called = (_stamp(text, now) for text in noted)
    ended = called or now
    if begun is None:
        return now, []
    setup = Phase(name="setup", started=round(max(ended - begun, 0.0), 3), seconds=round(now - ended, 3))
    if ready is None or ready < begun:
        return begun, [Phase(name="install", seconds=round(max(ended - begun, 0.0), 3)), setup]
    install = Phase(name="install", seconds=round(ready - begun, 3))
    cache = Phase(name="cache", started=round(ready - begun, 3), seconds=round(max(ended - ready, 0.0), 3))
    return begun, [install, cache, setup]


def _stamp(text: str | None, now: float) -> float | None:
    try:
        at = float(text or "")
    except ValueError:
        return None
    return at if now - 86400 < at <= now else None
