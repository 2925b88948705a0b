"""Targets: which limits apply, what is held against them, and what an overrun says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nix_repro.metrics import targets
from nix_repro.metrics.targets import HIT_RATE, Circumstances, Limit
from nix_repro.report import Phase, PhaseName, ScenarioName

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
    for target in targets.judge_targets(limits, values, Circumstances()):
        actual = values.get(target.name)
        assert target.actual == actual
        assert (target.ok is None) == (actual is None)
        assert (target.advice is not None) == (target.ok is False)
        if actual is not None and target.name != HIT_RATE:
            assert target.ok == (actual <= target.limit)


def test_the_hit_rate_must_be_above_its_limit_and_only_when_warm() -> None:
    assert [name for name, rows in targets.DEFAULTS.items() if HIT_RATE in rows] == ["warm"]
    judged = {
        rate: targets.judge_targets({HIT_RATE: 0.95}, {HIT_RATE: rate}, Circumstances())[0].ok
        for rate in (0.94, 0.95, 0.951, 1.0)
    }
    assert judged == {0.94: False, 0.95: False, 0.951: True, 1.0: True}
    assert targets.judge_targets({HIT_RATE: 1.0}, {HIT_RATE: 1.0}, Circumstances())[0].ok is True


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
    circumstances = Circumstances(
        builds=[("fast", 1.0), ("gcc", 60.0), ("app", 30.0)], path=[("gcc", 60.0), ("app", 30.0)], slots=2
    )
    (total,) = targets.judge_targets({"total": 50.0}, {"total": 95.0, "build": 91.0, "evaluate": 2.0}, circumstances)
    assert total.advice is not None
    for words in (
        "most of it is build",
        "gcc 60.0 s, app 30.0 s, fast 1.0 s",
        "critical path gcc → app = 90.0 s",
        "more cores do not help",
    ):
        assert words in total.advice
    wide = targets.judge_targets(
        {"build": 50.0}, {"build": 95.0}, Circumstances(builds=[(n, 10.0) for n in "abc"], path=[("a", 10.0)], slots=2)
    )[0]
    assert wide.advice is not None
    assert "max-jobs is 2" in wide.advice
    # Most of the time is the path's, yet with more jobs it would be inside the limit.
    near = targets.judge_targets({"build": 91.0}, {"build": 95.0}, circumstances)[0]
    assert "max-jobs is 2" in (near.advice or "")
    missed = targets.judge_targets({"build": 50.0}, {"build": 95.0}, Circumstances(missed=["a", "b", "c", "d"]))[0]
    assert missed.advice is not None
    assert "a, b, c and 1 more did not change" in missed.advice


def test_what_is_limited_has_a_unit_and_a_direction() -> None:
    assert {name for name, it in targets.QUANTITIES.items() if it.unit == "ratio"} == {HIT_RATE}
    assert {name for name, it in targets.QUANTITIES.items() if it.direction == "above"} == {HIT_RATE}
    assert targets.quantity("of another version") == targets.Quantity("of another version", "seconds", "at most")


@given(st.floats(0, 1), st.floats(0, 1))
def test_a_limit_is_met_on_one_side_only(actual: float, limit: float) -> None:
    most = targets.Quantity("x", "ratio", "at most")
    above = targets.Quantity("x", "ratio", "above")
    assert most.met(actual, limit) == (actual <= limit)
    assert above.met(actual, limit) == (not most.met(actual, limit) or actual == 1.0)
    assert above.met(1.0, limit)


@pytest.mark.parametrize("name", targets.NAMES)
def test_every_target_has_an_advice_of_its_own(name: str) -> None:
    limit, actual = (0.95, 0.5) if name == HIT_RATE else (1.0, 20.0)
    fetched = {"a cache": (3, 5_000_000, 2.0), "another": (1, None, None)}
    circumstances = Circumstances(missed=["app"] if name == HIT_RATE else [], fetched=fetched)
    (target,) = targets.judge_targets({name: limit}, {name: actual}, circumstances)
    words = {
        "fetch": "a cache 3 paths at 2.5 MB/s, another 1 paths",
        "build": "nothing was built to the end",
        "test": "this is what the tests take",
        "evaluate": "import from derivation",
        HIT_RATE: "no cache had app",
        "total": "20.0 s of it are in no phase",
        "setup": "making its own Python environment",
        "rebuild": "--since",
        "explain": "--since",
        "base": "--since",
        "refetch": "--since",
        "verification": "--since",
    }.get(name, f"look at the step that does the {name}")
    assert words in (target.advice or "")


def test_the_hit_rate_is_no_part_of_the_total() -> None:
    (total,) = targets.judge_targets({"total": 0.1}, {"total": 0.5, HIT_RATE: 0.9, "cache": 0.4}, Circumstances())
    assert (total.advice or "").startswith("most of it is cache (0.4 s): look at the step that does the cache")


def test_a_long_path_is_cut_in_the_middle() -> None:
    path = [(name, 10.0) for name in "abcdefg"]
    (build,) = targets.judge_targets({"build": 1.0}, {"build": 70.0}, Circumstances(path=path))
    assert "critical path a → b → … → f → g = 70.0 s" in (build.advice or "")


def test_our_own_environment_is_no_part_of_the_total_and_never_blamed_on_another_phase() -> None:
    """100 s for our own packages, behind a slow proxy: nothing that the project could mend."""
    phases = [
        Phase(name="setup", seconds=100),
        Phase(name="evaluate", seconds=2),
        Phase(name="build", seconds=20),
        Phase(name="total", seconds=125),
    ]
    values = targets.measured(phases, None)
    assert values["total"] == 25
    [total, setup] = targets.judge_targets({"total": 20, "setup": 10}, values, Circumstances())
    assert (total.advice or "").startswith("most of it is build (20.0 s)")
    assert "Python environment" in (setup.advice or "")


@pytest.mark.parametrize(
    ("spent", "begins"),
    [
        ({"build": 5, "evaluate": 2}, "93.0 s of it are in no phase"),
        ({"build": 40, "evaluate": 5}, "55.0 s of it are in no phase"),
        ({}, "100.0 s of it are in no phase"),
        ({"install": 60, "build": 30}, "most of it is install (60.0 s): look at the step"),
        ({"build": 35, "fetch": 33, "evaluate": 30}, "the largest part of it is build (35.0 s)"),
        # Fetching and building overlap.
        ({"build": 90, "fetch": 80}, "most of it is build (90.0 s)"),
    ],
)
def test_no_phase_is_blamed_for_what_lies_outside_of_all(spent: dict[PhaseName, float], begins: str) -> None:
    phases = [Phase(name=name, seconds=seconds) for name, seconds in spent.items()]
    values = targets.measured([*phases, Phase(name="total", seconds=100)], None)
    [total] = targets.judge_targets({"total": 10}, values, Circumstances())
    assert (total.advice or "").startswith(begins)


@pytest.mark.parametrize(
    ("slots", "says"),
    [
        (1, "builds waited for free slots: more jobs (max-jobs is 1)"),
        (2, "there were free slots"),
        (8, "there were free slots"),
        (None, "builds waited for free slots: more jobs or a larger runner"),
    ],
)
def test_slots_are_blamed_only_where_there_were_too_few(slots: int | None, says: str) -> None:
    builds = [("app", 10.0), ("docs", 10.0)]
    circumstances = Circumstances(builds=builds, path=[("app", 10.0)], slots=slots)
    [build] = targets.judge_targets({"build": 15.0}, {"build": 20.0}, circumstances)
    assert says in (build.advice or "")


def test_a_total_that_is_tests_says_nothing_of_a_limit_that_they_kept() -> None:
    [total] = targets.judge_targets({"total": 30.0}, {"total": 50.0, "test": 45.0}, Circumstances())
    assert (total.advice or "").startswith("most of it is test (45.0 s): this is what the tests take")
