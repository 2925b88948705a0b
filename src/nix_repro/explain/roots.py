"""Hands the divergent roots' trees to the explain engine, with all that the run knows of the two builds."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from nix_repro.build.variations import AS_USUAL, Varied
from nix_repro.explain import surroundings
from nix_repro.explain.budget import Budget
from nix_repro.explain.context import Context, Input, Side
from nix_repro.explain.engine import explain_output
from nix_repro.observations import Attempt, Observations, Tree
from nix_repro.plan.scope import Plan
from nix_repro.report import Finding

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


@dataclass(frozen=True)
class Explanations:
    """Findings by .drv path, and what there was no time for, as `NAME (OUTPUT)`."""

    findings: dict[str, tuple[Finding, ...]]
    late: tuple[str, ...] = ()


def explain_roots(
    plan: Plan,
    roots: Sequence[str],
    seen: Observations,
    here: Side,
    stopped: Callable[[], bool],
    tell: Callable[[str, int, int], None] = lambda *_: None,
    varied: Varied = AS_USUAL,
) -> Explanations:
    """Explain the divergent derivations whose trees were kept; as many as there is time for, and no more when it is
    `stopped`. `here` is what all builds of the run have in common. `tell` gets the name of each, its number and how
    many there are; `varied` is what rebuilds held different."""
    deadline = time.monotonic() + TOTAL
    found: dict[str, tuple[Finding, ...]] = {}
    late: list[str] = []
    trees: dict[str, dict[str, Tree]] = {}
    for (drv_path, output), tree in seen.trees.items():
        trees.setdefault(drv_path, {})[output] = tree
    for number, drv_path in enumerate(roots, 1):
        tell(plan.derivations[drv_path].name, number, len(roots))
        for output, tree in trees.get(drv_path, {}).items():
            if time.monotonic() > deadline:
                late.append(f"{plan.derivations[drv_path].name} ({output})")
                continue
            if stopped():
                return Explanations(found, tuple(late))
            context = _context(plan, drv_path, output, trees, seen, here, varied)
            budget = StoppableBudget(stopped=stopped)
            found[drv_path] = (*found.get(drv_path, ()), *explain_output(output, tree.a, tree.b, context, budget))
    return Explanations(found, tuple(late))


def _context(
    plan: Plan,
    drv_path: str,
    output: str,
    trees: Mapping[str, Mapping[str, Tree]],
    seen: Observations,
    here: Side,
    varied: Varied,
) -> Context:
    drv = plan.derivations[drv_path]
    first = seen.first(drv_path)
    again = [a for a in seen.attempts[drv_path] if a.round == trees[drv_path][output].round and a is not first]
    was = again[-1].against or first if again else first
    inputs = [kept for (path, _), kept in seen.trees.items() if path in drv.input_drvs]
    return Context(
        a=side(was, here),
        b=_varied_side(again[-1], here, varied) if again else Side(),
        store_path=first.outputs[output].path if first and output in first.outputs else None,
        inputs=tuple(Input(store_path=str(kept.a), a=kept.a, b=kept.b) for kept in inputs),
        builds=_in_dispute(seen.attempts[drv_path], output),
    )


def _in_dispute(attempts: Sequence[Attempt], output: str) -> int:
    """In how many builds of this run an output was made, if not all of them agree. Those of other days had other
    surroundings."""
    seen = [a.outputs[output] for a in attempts if a.status == "built" and not a.recalled and output in a.outputs]
    return len(seen) if len({one.nar_hash for one in seen}) > 1 else 0


def _varied_side(attempt: Attempt, here: Side, varied: Varied) -> Side:
    known = side(attempt, here)
    return surroundings.under(varied.of(attempt.round), known) if attempt.varied else known


def side(attempt: Attempt | None, here: Side) -> Side:
    """What is known of a build that was seen `here`; of one that was not, only when it had ended at the latest."""
    if attempt is None:
        return Side()
    if attempt.status != "built" or attempt.started is None:
        return Side(before=attempt.before)
    return surroundings.at(here, attempt.started, attempt.seconds)
