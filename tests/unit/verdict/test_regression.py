"""Whether the base has a divergence too: every place that it may have there, and everything that may be known of it."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nix_repro.plan.against import Against
from nix_repro.plan.base import Base
from nix_repro.plan.compare import Comparison
from nix_repro.report import SEVERITY, Verdict
from nix_repro.verdict.regression import Precedent, affordable, counterparts, on_base

MINE, THERE, SAME = (f"/nix/store/{letter * 32}-app-{n}.drv" for letter, n in zip("abc", "210", strict=True))


def against(
    pairs: dict[str, str | None], known: tuple[str, ...] = (), same: tuple[str, ...] = (), unsure: tuple[str, ...] = ()
) -> Against:
    comparison = Comparison(pairs, same=frozenset(same))
    base = Base("main (1234567)", {}, frozenset({THERE, *known}))
    return Against(base, comparison, frozenset(pairs), {}, frozenset(unsure))


PAIRED = against({MINE: THERE})


def said(*verdicts: Verdict, where: Against | None = PAIRED) -> tuple[str, str | None]:
    found = on_base(MINE, where, lambda path: [Precedent(v, None, "x") for v in verdicts] if path == THERE else [])
    assert found.because
    return found.standing, found.drv_path


@pytest.mark.parametrize(
    ("verdict", "standing"),
    [
        ("reproducible", "new"),
        ("divergent", "old"),
        ("unverified", "unknown"),
        ("build-failed", "unknown"),
        ("rebuild-failed", "unknown"),
    ],
)
def test_by_what_stands_there(verdict: Verdict, standing: str) -> None:
    assert said(verdict) == (standing, THERE)


def test_nothing_known_is_not_known() -> None:
    assert said() == ("unknown", THERE)
    assert said(where=None) == ("unknown", None)
    assert said("reproducible", where=against({})) == ("unknown", None), "not compared"
    assert said("reproducible", where=against({MINE: THERE}, unsure=(MINE,))) == ("unknown", None)


def test_what_has_no_counterpart_is_new() -> None:
    assert said(where=against({MINE: None})) == ("new", None)


@pytest.mark.parametrize("verdict", SEVERITY)
def test_the_same_derivation_diverges_there_whatever_was_seen(verdict: Verdict) -> None:
    assert said(verdict, where=against({}, known=(MINE,))) == ("old", MINE)
    assert said(verdict, where=against({}, same=(MINE,)))[0] == "old"


def test_sources_in_any_order_give_one_answer_and_a_seen_difference_counts() -> None:
    for verdicts in itertools.chain.from_iterable(itertools.permutations(SEVERITY, n) for n in range(1, 4)):
        expected = "old" if "divergent" in verdicts else "new" if "reproducible" in verdicts else "unknown"
        assert said(*verdicts)[0] == expected


def test_why_it_is_not_known_is_said() -> None:
    found = on_base(MINE, PAIRED, lambda _: [Precedent("build-failed", "the builder failed", "built twice now")])
    assert found.because == (
        "app-1, which stands there in its place, is build-failed: the builder failed (built twice now)"
    )


def test_only_what_the_base_has_otherwise_has_to_be_looked_at() -> None:
    other = THERE.replace("app-1", "lib")
    where = against({MINE: THERE, other: None, "x": THERE}, known=(SAME,), unsure=("x",))
    assert counterparts([MINE, SAME, other, "x", "y"], where) == {MINE: THERE}


@given(st.lists(st.floats(0, 100), max_size=8), st.floats(0, 300))
def test_what_is_checked_fits_into_the_time(costs: list[float], budget: float) -> None:
    cost = {str(number): seconds for number, seconds in enumerate(costs)}
    chosen = affordable(cost, cost, budget)
    spent = sum(cost[path] for path in chosen)
    assert spent <= budget + 1e-6
    left = budget - spent
    assert all(cost[path] > left - 1e-6 for path in cost if path not in chosen)
