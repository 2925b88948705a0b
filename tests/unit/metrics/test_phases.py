"""When a run's phases were, and its critical path: arithmetic that must hold for any input."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nix_repro.metrics.phases import critical_path, job_phases


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


def test_what_came_before_this_process() -> None:
    began, phases = job_phases(["1000", "1010", "1013"], 1015.5)
    assert began == 1000
    assert [(p.name, p.started, p.seconds) for p in phases] == [
        ("install", 0, 10),
        ("cache", 10, 3),
        ("setup", 13, 2.5),
    ]
    assert job_phases(["1000", None, None], 1015)[1][0].seconds == 15
    for nonsense in (None, "", "soon", "nan", "inf", "100000", "1000", "-1"):
        assert job_phases([nonsense, "1010", None], 90_000) == (90_000, [])
