"""Two graphs compared: the change is named where it was made, once, and fast."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphs import Graph, drv, store
from nix_repro.nix.derivation import Derivation, DrvOutput
from nix_repro.nix.store_path import store_name
from nix_repro.plan import compare as why


def compare(old: Graph, new: Graph, *roots: tuple[str | None, str]) -> why.Comparison:
    def show(graph: Graph) -> why.ShowOnly:
        return lambda paths: {path: graph[path] for path in paths}

    return why.compare(list(roots), set(old), show(old), show(new))


def chain(leaf: Mapping[str, str], **top: str) -> tuple[Graph, str]:
    graph: Graph = {}
    bottom = drv(graph, "base", **leaf)
    return graph, drv(graph, "app", drv(graph, "lib", bottom), **top)


def test_equal_graphs_have_nothing_to_say() -> None:
    old, a = chain({})
    new, b = chain({})
    assert compare(old, new, (a, b)) == why.Comparison()


def test_the_change_is_named_at_its_origin() -> None:
    old, a = chain({"flags": "-O2"})
    new, b = chain({"flags": "-O3"})
    found = compare(old, new, (a, b))
    assert {store_name(path) for path in found.root} == {"base", "lib", "app"}
    assert {root.line() for root in found.root.values()} == {"flags of base: -O2 → -O3"}
    assert list(found.blast().values()) == [3]


@pytest.mark.parametrize(
    ("before", "after", "line"),
    [
        ({"version": "1", "a": "x"}, {"version": "2", "a": "y"}, "version of base: 1 → 2"),
        ({}, {"extra": "new\nline"}, "extra of base: not there → new line"),
        ({"script": "make"}, {"script": "make -j"}, "arguments of base: -c make → -c make -j"),
        ({"builder": "/bin/sh"}, {"builder": "/bin/bash"}, "builder of base: /bin/sh → /bin/bash"),
        ({"long": "a" * 99}, {"long": "b" * 99}, f"long of base: {'a' * 40}… → {'b' * 40}…"),
    ],
)
def test_every_sort_of_change(before: dict[str, str], after: dict[str, str], line: str) -> None:
    old, a = chain(before)
    new, b = chain(after)
    assert {root.line() for root in compare(old, new, (a, b)).root.values()} == {line}


def alone(**changes: object) -> tuple[Graph, str]:
    """One derivation, with fields changed after its path was made."""
    graph: Graph = {}
    path = drv(graph, "base", flags=repr(changes))
    env = {name: value for name, value in graph[path].env.items() if name != "flags"}
    graph[path] = msgspec.structs.replace(graph[path], **{"env": env, **changes})
    return graph, path


@pytest.mark.parametrize(
    ("before", "after", "line"),
    [
        ({}, {"system": "i686-linux"}, "system of base: x86_64-linux → i686-linux"),
        ({}, {"outputs": {"out": DrvOutput(), "dev": DrvOutput()}}, "outputs of base: out → out dev"),
        # Structured attributes that cannot be read say nothing; the rest does.
        ({"env": {"__json": "{", "flags": "1"}}, {"env": {"__json": "[", "flags": "2"}}, "flags of base: 1 → 2"),
        ({"env": {"__json": "3", "flags": "1"}}, {"env": {"__json": "[]", "flags": "2"}}, "flags of base: 1 → 2"),
    ],
)
def test_changes_that_few_builds_see(before: dict[str, object], after: dict[str, object], line: str) -> None:
    old, a = alone(**before)
    new, b = alone(**after)
    (root,) = compare(old, new, (a, b)).root.values()
    assert root.line() == line


def test_an_input_that_nothing_in_the_environment_speaks_of() -> None:
    old, a = alone()
    new, b = alone(impure=True)
    zlib = drv(new, "zlib")
    new[b] = msgspec.structs.replace(new[b], input_drvs={zlib: ("out",)})
    found = compare(old, new, (a, b))
    assert (found.root[b].line(), found.pairs[zlib]) == ("input zlib added in base", None)


def test_of_several_sources_the_one_that_changed_is_named() -> None:
    same, before, after, other = store("same", 1), store("patch", 1), store("patch", 2), store("extra", 1)
    old: Graph = {}
    new: Graph = {}
    a, b = drv(old, "app", sources=[same, before]), drv(new, "app", sources=[other, same, after])
    (root,) = compare(old, new, (a, b)).root.values()
    assert root.line() == "source extra of app", "what came stands before what changed, as it does in the derivation"
    b = drv(new, "app", sources=[same, after])
    (root,) = compare(old, new, (a, b)).root.values()
    assert (root.line(), root.old, root.new) == ("source patch of app", before, after)
    a, b = drv(old, "app", sources=[same, before]), drv(new, "app", sources=[same])
    (root,) = compare(old, new, (a, b)).root.values()
    assert (root.line(), root.old, root.new) == ("source patch of app", before, None)


def test_a_path_within_a_longer_word_stands_for_the_same() -> None:
    """`PATH.orig` and `PATH-1` could be names of their own; they begin with a path that is known."""

    def build(flags: str) -> tuple[Graph, str]:
        graph: Graph = {}
        base = drv(graph, "base", flags=flags)
        path = graph[base].outputs["out"].path
        return graph, drv(graph, "app", base, script=f"cp {path}.orig {path}-1.txt {path}/x")

    (old, a), (new, b) = build("1"), build("2")
    assert {root.line() for root in compare(old, new, (a, b)).root.values()} == {"flags of base: 1 → 2"}


def test_a_source_is_named_with_both_sides() -> None:
    old: Graph = {}
    new: Graph = {}
    sides = store("source", 1), store("source", 2)
    a, b = (drv(graph, "app", sources=[side], src=side) for graph, side in zip((old, new), sides, strict=True))
    (root,) = compare(old, new, (a, b)).root.values()
    assert (root.kind, root.old, root.new, root.line()) == ("source", *sides, "source of app")


def test_another_version_of_an_input_is_its_counterpart() -> None:
    old: Graph = {}
    new: Graph = {}
    a = drv(old, "app", drv(old, "python3-3.11.4", version="3.11.4"))
    b = drv(new, "app", drv(new, "python3-3.12.1", version="3.12.1"))
    found = compare(old, new, (a, b))
    assert {root.line() for root in found.root.values()} == {"version of python3-3.12.1: 3.11.4 → 3.12.1"}


def test_inputs_that_come_and_go() -> None:
    old: Graph = {}
    new: Graph = {}
    a = drv(old, "app", drv(old, "zlib"))
    b = drv(new, "app", drv(new, "zlib"), drv(new, "openssl"))
    found = compare(old, new, (a, b))
    assert [root.line() for root in found.root.values()] == ["input openssl added in app"]
    assert [store_name(path) for path, counterpart in found.pairs.items() if counterpart is None] == ["openssl"]
    back = compare(new, old, (b, a))
    assert [root.line() for root in back.root.values()] == ["input openssl removed in app"]


def test_new_installables_share_what_the_base_has() -> None:
    old, a = chain({})
    new, b = chain({})
    tool = drv(new, "tool", b)
    assert compare(old, new, (a, b), (None, tool)).pairs == {tool: None}


def test_what_a_new_installable_needs_has_its_counterparts_all_the_same() -> None:
    """Two levels below the other installable, and one below the new one, which is looked at first; or below nothing
    else."""
    old, a = chain({"flags": "1"})
    new, b = chain({"flags": "2"})
    bottom = next(path for path in new if store_name(path) == "base")
    tool = drv(new, "tool", bottom, drv(new, "helper"))
    for roots in (((None, tool), (a, b)), ((None, tool),)):
        found = compare(old, new, *roots)
        assert found.root[bottom].line() == "flags of base: 1 → 2"
        assert {store_name(path) for path, counterpart in found.pairs.items() if counterpart is None} == {
            "tool",
            "helper",
        }
    # Of two that are called the same, nobody knows.
    drv(old, "base", flags="3")
    assert compare(old, new, (None, tool)).pairs[bottom] is None


def test_another_way_to_the_same_fixed_output_changes_nothing_above_it() -> None:
    def build(tool: str, flags: str) -> tuple[Graph, str]:
        graph: Graph = {}
        fetch = drv(graph, "src", drv(graph, "curl", version=tool))
        fixed = DrvOutput("/nix/store/" + "a" * 32 + "-src", fixed=True)
        graph[fetch] = msgspec.structs.replace(
            graph[fetch], outputs={"out": fixed}, env={**graph[fetch].env, "out": fixed.path or ""}
        )
        app = drv(graph, "app", fetch, flags=flags)
        out = DrvOutput(store("app", flags))
        graph[app] = msgspec.structs.replace(
            graph[app], outputs={"out": out}, env={**graph[app].env, "out": out.path or ""}
        )
        return graph, app

    (old, a), (new, b) = build("1", "-O2"), build("2", "-O2")
    found = compare(old, new, (a, b))
    assert {store_name(path) for path in found.pairs} == {"curl"}
    assert {store_name(path) for path in found.same} == {"src", "app"}
    new, b = build("2", "-O3")
    found = compare(old, new, (a, b))
    assert (found.root[b].line(), found.others[b]) == ("flags of app: -O2 → -O3", 0)


def test_several_changes_are_counted() -> None:
    old, a = chain({"flags": "1"}, own="1")
    new, b = chain({"flags": "2"}, own="2")
    found = compare(old, new, (a, b))
    assert found.root[b].line() == "flags of base: 1 → 2"
    assert {store_name(path): count for path, count in found.others.items()} == {"base": 0, "lib": 0, "app": 1}


def test_structured_attributes_one_by_one() -> None:
    old, a = chain({"__json": '{"cflags": ["-O2"], "same": 1}'})
    new, b = chain({"__json": '{"same": 1, "cflags": ["-O3"]}'})
    assert {root.line() for root in compare(old, new, (a, b)).root.values()} == {'cflags of base: ["-O2"] → ["-O3"]'}


def test_names_alone_when_the_base_is_gone() -> None:
    old, a = chain({"flags": "1"})
    new, b = chain({"flags": "2"})
    tool = drv(new, "tool", b)
    found, unsure = why.compare_names([(a, b)], set(old), new)
    assert not unsure
    assert found.pairs == {
        **{path: next(o for o in old if o[44:] == path[44:]) for path in new if path != tool},
        tool: None,
    }
    assert not found.root
    assert a in found.pairs.values()


def test_a_name_that_several_have_says_nothing_and_the_attribute_does() -> None:
    def path(letter: str, name: str) -> str:
        return f"/nix/store/{letter * 32}-{name}.drv"

    known = {path("a", "app-1.0"), path("b", "lib"), path("c", "lib"), path("d", "tool-1.0")}
    new = [path("e", "app-2.0"), path("f", "lib"), path("g", "tool-1.1"), path("h", "fresh")]
    found, unsure = why.compare_names([(path("a", "app-1.0"), new[0])], known, new)
    assert found.pairs == {
        new[0]: path("a", "app-1.0"),
        new[1]: path("c", "lib"),
        new[2]: path("d", "tool-1.0"),
        new[3]: None,
    }
    assert unsure == {new[1]}


def layered(width: int, depth: int, changed: str) -> tuple[Graph, str]:
    graph: Graph = {}
    row = [drv(graph, f"d0-{i}", flags=changed if i == 0 else "same", script="x" * 500) for i in range(width)]
    for level in range(1, depth):
        row = [
            drv(graph, f"d{level}-{i}", row[i], row[(i + 1) % width], row[(i + 7) % width], script="x" * 500)
            for i in range(width)
        ]
    return graph, drv(graph, "top", *row)


@pytest.mark.size
def test_two_thousand_derivations_each_looked_at_once() -> None:
    old, a = layered(20, 100, "1")
    new, b = layered(20, 100, "2")
    assert len(new) == 2001
    asked: list[str] = []

    def show(paths: Iterable[str]) -> Mapping[str, Derivation]:
        listed = list(paths)
        asked.extend(listed)
        return {path: new[path] for path in listed}

    found = why.compare([(a, b)], set(old), lambda paths: {path: old[path] for path in paths}, show)
    assert len(asked) == len(set(asked)) == len(found.pairs)
    assert {root.line() for root in found.root.values()} == {"flags of d0-0: 1 → 2"}
    assert len(found.root) > 1900


@pytest.mark.size
def test_a_chain_deeper_than_the_stack() -> None:
    def deep(flag: str) -> tuple[Graph, str]:
        graph: Graph = {}
        path = drv(graph, "d0", flag=flag)
        for i in range(1, 3000):
            path = drv(graph, f"d{i}", path)
        return graph, path

    old, a = deep("1")
    new, b = deep("2")
    found = compare(old, new, (a, b))
    assert found.root[b].line() == "flag of d0: 1 → 2"


@given(st.lists(st.integers(0, 3), min_size=1, max_size=6), st.lists(st.integers(0, 3), min_size=1, max_size=6))
def test_what_differs_is_what_changed_and_all_above_it(before: list[int], after: list[int]) -> None:
    """In a chain, the lowest changed derivation is the origin of every change above it."""

    def build(flags: list[int]) -> tuple[Graph, list[str]]:
        graph: Graph = {}
        paths: list[str] = []
        for i, flag in enumerate(flags):
            paths.append(drv(graph, f"d{i}", *paths[-1:], flag=str(flag)))
        return graph, paths

    count = min(len(before), len(after))
    (old, olds), (new, news) = build(before[:count]), build(after[:count])
    first = next((i for i in range(count) if before[i] != after[i]), count)
    found = compare(old, new, (olds[-1], news[-1]))
    assert set(found.pairs) == set(news[first:])
    assert {root.drv_path for root in found.root.values()} == set(news[first : first + 1])
    assert all(b in new[a].input_drvs for b, a in pairwise(news))
