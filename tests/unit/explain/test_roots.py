"""What a run hands to the explain engine, and when it stops doing so."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest

from nix_repro.explain.context import Side
from nix_repro.explain.roots import StoppableBudget, explain_roots, side
from nix_repro.nix.derivation import Derivation, DrvOutput
from nix_repro.observations import Attempt, Observations, Seen, Tree
from nix_repro.plan.scope import Plan


def test_a_run_that_is_told_to_stop_explains_no_further_output(tmp_path: Path) -> None:
    seen, derivations = Observations(), {}
    for name in ("one", "two"):
        path = f"/nix/store/{name}"
        derivations[path] = Derivation(path, name, "x", "/bin/sh", (), {}, {"out": DrvOutput(path)}, {}, ())
        for number, letter in enumerate("ab", start=1):
            (tmp_path / f"{name}-{letter}").write_text(letter)
            seen.add([Attempt(path, number, "built", {"out": Seen(path, letter, "built", "")})])
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


def test_of_a_first_build_that_nobody_saw_it_is_known_when_it_had_ended(tmp_path: Path) -> None:
    seen, path = Observations(), "/nix/store/one"
    derivation = Derivation(path, "one", "x", "/bin/sh", (), {}, {"out": DrvOutput(path)}, {}, ())
    (tmp_path / "a").write_text("built 1000000007\n")
    (tmp_path / "b").write_text("built 1700000003\n")
    seen.add([Attempt(path, 1, "present", {"out": Seen(path, "a", "present", "")})])
    seen.add([Attempt(path, 2, "built", {"out": Seen(path, "b", "rebuilt", "")}, started=1_700_000_000, seconds=5)])
    seen.trees[path, "out"] = Tree(tmp_path / "a", tmp_path / "b", 2)
    plan = Plan({}, {path: derivation}, (path,), {})

    def told() -> list[tuple[str, str]]:
        findings = explain_roots(plan, [path], seen, Side(), lambda: False).findings[path]
        return [(item.cause, item.confidence) for item in findings]

    assert told() == [("timestamp", "high")]
    seen.date({path: 1_000_000_010})
    first = seen.first(path)
    assert first is not None
    assert side(first, Side(cores=3)) == Side(before=1_000_000_010)
    assert told() == [("timestamp", "high")]
    # The store had it before that time.
    seen.date({path: 1_000_000_000})
    assert told() != [("timestamp", "high")]


@pytest.mark.parametrize(
    ("first", "again", "recalled", "cause"),
    [
        ("built", "bbb", "", "parallelism"),
        ("present", "bab", "", "parallelism"),
        # What was there differs from all of today's: there is nothing that comes and goes.
        ("present", "bbb", "", "unknown"),
        # Builds of other days are no more of this one.
        ("built", "b", "ab", "unknown"),
    ],
)
def test_a_race_comes_and_goes_within_a_run(
    first: Literal["built", "present"], again: str, recalled: str, cause: str, tmp_path: Path
) -> None:
    seen, path = Observations(), "/nix/store/one"
    derivation = Derivation(path, "one", "x", "/bin/sh", (), {}, {"out": DrvOutput(path)}, {}, ())
    for letter, text in (("a", "mon\n"), ("b", "tue\n")):
        (tmp_path / letter).write_text(text)
    seen.add([Attempt(path, 1, first, {"out": Seen(path, "a", first, "")})])
    seen.add([Attempt(path, 0, "built", {"out": Seen(path, one, "ledger", "")}, recalled=True) for one in recalled])
    seen.add([Attempt(path, n, "built", {"out": Seen(path, one, "rebuilt", "")}) for n, one in enumerate(again, 2)])
    seen.trees[path, "out"] = Tree(tmp_path / "a", tmp_path / "b", 2)
    plan = Plan({}, {path: derivation}, (path,), {})
    [finding] = explain_roots(plan, [path], seen, Side(), lambda: False).findings[path]
    assert finding.cause == cause
