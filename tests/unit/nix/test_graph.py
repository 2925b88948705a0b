"""Orders, levels, and what is above or below: for any graph."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from graphs import GRAPHS, Graph
from nix_repro.nix.graph import above, below, in_order, levels


def reached(path: str, graph: Graph) -> set[str]:
    """Everything below, by the definition."""
    direct = set(graph[path].input_drvs)
    return direct.union(*(reached(i, graph) for i in direct))


@given(GRAPHS, st.randoms())
def test_inputs_come_first(graph: Graph, chance: object) -> None:
    shuffled = list(graph.items())
    chance.shuffle(shuffled)  # type: ignore[attr-defined]
    order = in_order(dict(shuffled))
    assert sorted(order) == sorted(graph)
    assert all(order.index(i) < order.index(path) for path in graph for i in graph[path].input_drvs)


@given(GRAPHS, st.data())
def test_levels_are_independent_and_in_order(graph: Graph, data: st.DataObject) -> None:
    targets = data.draw(st.sets(st.sampled_from(sorted(graph))))
    groups = levels(targets, graph)
    assert sorted(path for group in groups for path in group) == sorted(targets)
    seen: set[str] = set()
    for group in groups:
        for path in group:
            under = reached(path, graph)
            assert not under & set(group), (
                "no member depends on another of its group, not even through what is no target"
            )
            assert under & targets <= seen, "all that it depends on came in an earlier group"
        seen |= set(group)


@given(GRAPHS, st.data())
def test_above_and_below_by_their_definition(graph: Graph, data: st.DataObject) -> None:
    some = data.draw(st.sets(st.sampled_from(sorted(graph))))
    assert below(graph, some) == some.union(*(reached(path, graph) for path in some))
    assert above(graph, some) == {path for path in graph if reached(path, graph) & some}


@given(GRAPHS, st.data())
def test_what_is_not_among_the_derivations_is_passed_over(graph: Graph, data: st.DataObject) -> None:
    known = {path: drv for path, drv in graph.items() if data.draw(st.booleans())}
    top = data.draw(st.sets(st.sampled_from(sorted(graph))))
    assert below(known, top) <= known.keys()
    assert sorted(in_order(known)) == sorted(known)
