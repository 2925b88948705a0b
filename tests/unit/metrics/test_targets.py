"""Targets: which limits apply, what is held against them, and what an overrun says."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from nix_repro.metrics import targets
from nix_repro.metrics.targets import HIT_RATE, Evidence, Limit
from nix_repro.report import Phase, ScenarioName

_names = st.sampled_from(targets.NAMES)
_limits = st.lists(
    st.builds(
        Limit,
        _names,
        st.one_of(st.none(), st.floats(0, 1000)),
        st.one_of(st.none(), st.sampled_from(targets.SCENARIOS)),
    ),
    max_size=10,
)


@given(st.sampled_from(["cold", "warm", "first-time", "cached"]), _limits)
def test_what_was_asked_wins_and_the_narrower_of_two(scenario: ScenarioName, asked: list[Limit]) -> None:
    found = targets.limits(scenario, asked)
    for name in targets.NAMES:
        for_all = [limit for limit in asked if limit.name == name and limit.scenario is None]
        for_this = [limit for limit in asked if limit.name == name and limit.scenario == scenario]
        expected = (for_this or for_all)[-1].value if for_this or for_all else targets.DEFAULTS[scenario].get(name)
        assert found.get(name) == expected


@given(st.dictionaries(_names, st.floats(0, 100)), st.dictionaries(_names, st.one_of(st.none(), st.floats(0, 100))))
def test_judging_never_guesses(limits: dict[str, float], values: dict[str, float | None]) -> None:
    for target in targets.judge_targets(limits, values, Evidence()):
        actual = values.get(target.name)
        assert target.actual == actual
        assert (target.ok is None) == (actual is None)
        assert (target.advice is not None) == (target.ok is False)
        if actual is not None and target.name != HIT_RATE:
            assert target.ok == (actual <= target.limit)


def test_the_hit_rate_must_be_above_its_limit_and_only_when_warm() -> None:
    assert [name for name, rows in targets.DEFAULTS.items() if HIT_RATE in rows] == ["warm"]
    judged = {
        rate: targets.judge_targets({HIT_RATE: 0.95}, {HIT_RATE: rate}, Evidence())[0].ok
        for rate in (0.94, 0.95, 0.951, 1.0)
    }
    assert judged == {0.94: False, 0.95: False, 0.951: True, 1.0: True}
    assert targets.judge_targets({HIT_RATE: 1.0}, {HIT_RATE: 1.0}, Evidence())[0].ok is True


def test_the_total_is_without_verification() -> None:
    phases = [
        Phase(name="build", seconds=10),
        Phase(name="rebuild", seconds=8),
        Phase(name="explain", seconds=1),
        Phase(name="total", seconds=25),
    ]
    values = targets.measured(phases, None)
    assert (values["total"], values["verification"], values["build"], values[HIT_RATE]) == (16, 9, 10, None)
    assert "verification" not in targets.measured([Phase(name="total", seconds=3)], 0.5)


def test_an_overrun_names_phase_derivations_and_critical_path() -> None:
    evidence = Evidence(
        builds=[("fast", 1.0), ("gcc", 60.0), ("app", 30.0)], path=[("gcc", 60.0), ("app", 30.0)], slots=2
    )
    (total,) = targets.judge_targets({"total": 50.0}, {"total": 95.0, "build": 91.0, "evaluate": 2.0}, evidence)
    assert total.advice is not None
    for words in (
        "most of it is build",
        "gcc 60.0 s, app 30.0 s, fast 1.0 s",
        "critical path gcc → app = 90.0 s",
        "more cores do not help",
    ):
        assert words in total.advice
    wide = targets.judge_targets(
        {"build": 50.0}, {"build": 95.0}, Evidence(builds=[("a", 10.0)], path=[("a", 10.0)], slots=2)
    )[0]
    assert wide.advice is not None
    assert "max-jobs is 2" in wide.advice
    # Most of the time is the path's, yet with more jobs it would be inside the limit.
    near = targets.judge_targets({"build": 91.0}, {"build": 95.0}, evidence)[0]
    assert "max-jobs is 2" in (near.advice or "")
    missed = targets.judge_targets({"build": 50.0}, {"build": 95.0}, Evidence(missed=["a", "b", "c", "d"]))[0]
    assert missed.advice is not None
    assert "a, b, c and 1 more did not change" in missed.advice
