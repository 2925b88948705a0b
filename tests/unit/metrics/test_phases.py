"""Intervals, scenario, critical path: arithmetic that must hold for any input."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nix_repro.metrics.phases import critical_path, job_phases
from nix_repro.metrics.scenario import scenario
from nix_repro.nix.log.intervals import covered, union
from nix_repro.report import ChangeClass

_intervals = st.lists(
    st.tuples(st.integers(0, 200), st.integers(0, 200)).map(lambda pair: (float(min(pair)), float(max(pair)))),
    max_size=30,
)


@given(_intervals)
def test_covered_counts_each_second_once(intervals: list[tuple[float, float]]) -> None:
    seconds = {second for start, stop in intervals for second in range(int(start), int(stop))}
    assert covered(intervals) == len(seconds)


@given(_intervals)
def test_union_is_sorted_and_apart(intervals: list[tuple[float, float]]) -> None:
    merged = union(intervals)
    assert all(a[1] < b[0] for a, b in pairwise(merged))


@st.composite
def _graphs(draw: st.DrawFn) -> tuple[dict[str, float], dict[str, list[str]]]:
    count = draw(st.integers(1, 8))
    seconds = {f"d{i}": float(draw(st.integers(0, 20))) for i in range(count)}
    inputs = {f"d{i}": [f"d{j}" for j in range(i) if draw(st.booleans())] for i in range(count)}
    return seconds, inputs


@given(_graphs())
def test_critical_path_is_the_longest_chain(graph: tuple[dict[str, float], dict[str, list[str]]]) -> None:
    seconds, inputs = graph

    def longest(path: str) -> float:
        return seconds[path] + max((longest(i) for i in inputs[path]), default=0.0)

    chain = critical_path(seconds, inputs)
    assert sum(seconds[path] for path in chain) == max(longest(path) for path in seconds)
    assert all(a in inputs[b] for a, b in pairwise(chain))


@pytest.mark.size
def test_critical_path_of_a_deep_graph_and_of_a_cycle() -> None:
    deep = {str(i): 1.0 for i in range(20_000)}
    assert len(critical_path(deep, {str(i): [str(i - 1)] for i in range(1, 20_000)})) == 20_000
    assert critical_path({"a": 1.0, "b": 2.0}, {"a": ["b"], "b": ["a"]}) in (["a", "b"], ["b", "a"])
    assert critical_path({}, {}) == []


@given(
    st.booleans(),
    st.sampled_from([None, "full", "partial", "none"]),
    st.dictionaries(st.sampled_from(["magic", "cachix"]), st.integers(0, 50)),
    st.integers(0, 50),
    st.integers(0, 100),
)
def test_scenario_by_its_definition(
    ci: bool, change: ChangeClass | None, served: dict[str, int], present: int, needed: int
) -> None:
    found = scenario(ci=ci, change=change, served=served, present=present, needed=needed)
    assert found.because
    if ci:
        assert (found.name == "cold") == (change == "full" or not any(served.values()))
        assert found.name in ("cold", "warm")
    else:
        assert found.name in ("first-time", "cached")


def test_scenario_can_be_chosen() -> None:
    found = scenario(ci=True, change="full", served={}, present=0, needed=9, chosen="warm")
    assert (found.name, found.because) == ("warm", "chosen in the configuration")
    assert scenario(ci=False, change=None, served={}, present=0, needed=0).name == "first-time"


def test_what_came_before_this_process() -> None:
    began, phases = job_phases(["1000", "1010", "1013"], 1015.5)
    assert began == 1000
    assert [(p.name, p.started, p.seconds) for p in phases] == [("install", 0, 10), ("cache", 10, 3)]
    assert job_phases(["1000", None, None], 1015)[1][0].seconds == 15
    for nonsense in (None, "", "soon", "nan", "inf", "100000", "1000", "-1"):
        assert job_phases([nonsense, "1010", None], 90_000) == (90_000, [])
