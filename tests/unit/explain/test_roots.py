"""What a run hands to the explain engine, and when it stops doing so."""

from __future__ import annotations

from pathlib import Path

from nix_repro.explain.context import Side
from nix_repro.explain.roots import StoppableBudget, explain_roots
from nix_repro.nix.derivation import Derivation, DrvOutput
from nix_repro.observations import Attempt, Observations, Seen, Tree
from nix_repro.plan.scope import Plan


def test_a_run_that_is_told_to_stop_explains_no_further_output(tmp_path: Path) -> None:
    seen, derivations = Observations(), {}
    for name in ("one", "two"):
        path = f"/nix/store/{name}"
        derivations[path] = Derivation(path, name, "x", "/bin/sh", (), {}, {"out": DrvOutput(path)}, {}, ())
        for number, side in enumerate("ab", start=1):
            (tmp_path / f"{name}-{side}").write_text(side)
            seen.add([Attempt(path, number, "built", {"out": Seen(path, side, "built", "")})])
        seen.trees[path, "out"] = Tree(tmp_path / f"{name}-a", tmp_path / f"{name}-b", 2)
    plan = Plan({}, derivations, tuple(derivations), {})
    answers = iter([False, *[True] * 1000])
    found = explain_roots(plan, list(derivations), seen, Side(), lambda: next(answers)).findings
    assert list(found) == ["/nix/store/one"]


def test_a_comparison_ends_with_the_run() -> None:
    stop = False
    budget = StoppableBudget(stopped=lambda: stop)
    assert not budget.expired()
    stop = True
    assert budget.expired()
    assert budget.cut == ["the comparison was interrupted"]
