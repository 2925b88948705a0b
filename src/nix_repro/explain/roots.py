"""Hands the divergent roots' trees to the explain engine, with all that the run knows of the two builds."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from nix_repro.explain.budget import Budget
from nix_repro.explain.context import Context, Input, Side
from nix_repro.explain.engine import explain_output
from nix_repro.observations import Attempt, Observations, Tree
from nix_repro.plan.scope import Plan
from nix_repro.report import Finding
from nix_repro.text import some

#: Seconds for all explanations of a run; what is left over is named in a warning.
TOTAL = 120.0


@dataclass
class StoppableBudget(Budget):
    """A budget that is used up when the run is told to stop."""

    stopped: Callable[[], bool] = lambda: False

    def expired(self) -> bool:
        if self.stopped():
            self.say("the comparison was interrupted")
            return True
        return super().expired()


def explain_all(
    plan: Plan,
    roots: Sequence[str],
    seen: Observations,
    here: Side,
    warn: Callable[[str], None],
    stopped: Callable[[], bool],
) -> dict[str, tuple[Finding, ...]]:
    """Findings by .drv path for the divergent derivations whose trees were kept; as many as there are when it is
    `stopped`. `here` is what all builds of the run have in common (`surroundings`)."""
    deadline = time.monotonic() + TOTAL
    found: dict[str, tuple[Finding, ...]] = {}
    late: list[str] = []
    trees: dict[str, dict[str, Tree]] = {}
    for (drv_path, output), tree in seen.trees.items():
        trees.setdefault(drv_path, {})[output] = tree
    for drv_path in roots:
        for output, tree in trees.get(drv_path, {}).items():
            if time.monotonic() > deadline:
                late.append(f"{plan.derivations[drv_path].name} ({output})")
                continue
            if stopped():
                return found
            context = _context(plan, drv_path, output, trees, seen, here)
            budget = StoppableBudget(stopped=stopped)
            found[drv_path] = (*found.get(drv_path, ()), *explain_output(output, tree.a, tree.b, context, budget))
    if late:
        warn(f"not explained, because the time was up: {some(late, 5)}")
    return found


def _context(
    plan: Plan,
    drv_path: str,
    output: str,
    trees: Mapping[str, Mapping[str, Tree]],
    seen: Observations,
    here: Side,
) -> Context:
    drv = plan.derivations[drv_path]
    first = seen.first(drv_path)
    again = [a for a in seen.attempts[drv_path] if a.round == trees[drv_path][output].round and a is not first]
    return Context(
        a=side(first if first and first.status == "built" else None, here),
        b=side(again[-1] if again else None, here),
        store_path=first.outputs[output].path if first and output in first.outputs else None,
        inputs=tuple(
            Input(store_path=str(kept.a), a=kept.a, b=kept.b)
            for (path, _), kept in seen.trees.items()
            if path in drv.input_drvs
        ),
    )


def surroundings(settings: Mapping[str, Any], cores: int | None) -> Side:
    """What all builds on this machine have in common: everything but when they ran. `settings` are Nix's, `cores` the
    limit for one build, None for Nix's own."""
    build_cores = int(cores if cores is not None else settings.get("cores", 0)) or os.cpu_count()
    sandboxed = str(settings.get("sandbox")).lower() == "true"
    return Side(
        cores=build_cores,
        cpus=os.cpu_count(),
        build_dir=str(settings.get("sandbox-build-dir", "/build")) if sandboxed else None,
        kernel=platform.release(),
        host="localhost" if sandboxed else platform.node(),
        cpu=_cpu_model(),
    )


def side(attempt: Attempt | None, here: Side) -> Side:
    """What is known of a build that was seen `here`; nothing of one that was not."""
    if attempt is None or attempt.started is None:
        return Side()
    return msgspec.structs.replace(here, window=(attempt.started, attempt.started + (attempt.seconds or 0.0)))


def _cpu_model() -> str | None:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), None)
