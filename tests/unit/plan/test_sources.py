"""Sources are paired by where they stand, because their names hold hashes, or are all the same."""

from __future__ import annotations

import json

import pytest

from graphs import Graph, drv, out, store
from nix_repro.nix.derivation import Derivation
from nix_repro.plan import compare as why
from nix_repro.plan.sources import pair_sources, source_name


def hashed(content: object, name: str = "source") -> str:
    """What `./.` of a flake becomes: a copy called after the flake's own store path."""
    return store(store(name, content, "flake").removeprefix("/nix/store/"), content)


def side(sources: list[str], **env: str) -> Derivation:
    graph: Graph = {}
    return graph[drv(graph, "app", sources=sorted(sources), **env)]


DOT = hashed(1), hashed(2)
SUB = store("sub", 1), store("sub", 2)
#: Two that were made by `cleanSource`: the order of their hashes changes.
CODE = store("source", "code", 4), store("source", "code", 8)
DATA = store("source", "data", 1), store("source", "data", 3)


def test_the_hash_of_what_was_copied_is_no_part_of_a_name() -> None:
    assert [source_name(path) for path in (DOT[0], SUB[0], hashed(3, hashed(4)[11:]))] == ["source", "sub", "source"]
    assert source_name(store("a" * 32)) == "a" * 32


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"src": "DOT"}, {"src": "DOT"}),
        ({"src": "DOT/sub"}, {"src": "DOT/sub"}),
        ({"script": "cp DOT/a $out"}, {"script": "cp DOT/a $out"}),
        ({"builder": "DOT/build.sh"}, {"builder": "DOT/build.sh"}),
        ({"src": "DOT"}, {"source": "DOT"}),
        ({"src": "DOT"}, {"srcs": "DOT SUB"}),
        ({"srcs": "SUB DOT"}, {"srcs": "DOT SUB"}),
        ({"__json": json.dumps({"srcs": ["DOT", "SUB"]})}, {"__json": json.dumps({"srcs": ["SUB", "DOT"]})}),
        ({"src": "DOT"}, {"__json": json.dumps({"src": "DOT"})}),
        ({"a": "DOT", "b": "DOT/x"}, {"b": "DOT/x"}),
        ({}, {}),
    ],
)
def test_a_copy_of_the_checkout_is_found_again(before: dict[str, str], after: dict[str, str]) -> None:
    def filled(env: dict[str, str], n: int) -> dict[str, str]:
        return {name: text.replace("DOT", DOT[n]).replace("SUB", SUB[n]) for name, text in env.items()}

    pairs = pair_sources(side([DOT[0]], **filled(before, 0)), side([DOT[1]], **filled(after, 1)))
    assert pairs == [DOT]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"src": "CODE", "data": "DATA"}, {"src": "CODE", "data": "DATA"}),
        ({"srcs": "CODE DATA"}, {"srcs": "CODE DATA"}),
        ({"srcs": "CODE/src DATA/etc"}, {"srcs": "DATA/etc CODE/src"}),
        ({"script": "cp -r CODE/. . && cat DATA/x"}, {"script": "cat DATA/x; cp -r CODE/. ."}),
        ({"__json": json.dumps({"in": {"a": "CODE", "b": "DATA"}})},) * 2,
    ],
)
def test_several_of_one_name_are_told_apart_by_their_places(before: dict[str, str], after: dict[str, str]) -> None:
    def filled(env: dict[str, str], n: int) -> dict[str, str]:
        return {name: text.replace("CODE", CODE[n]).replace("DATA", DATA[n]) for name, text in env.items()}

    pairs = pair_sources(side([CODE[0], DATA[0]], **filled(before, 0)), side([CODE[1], DATA[1]], **filled(after, 1)))
    assert sorted(pairs, key=str) == sorted([CODE, DATA])


def test_another_file_in_the_same_place_is_its_counterpart() -> None:
    old, new = store("one.patch"), store("two.patch")
    assert pair_sources(side([old], patches=old), side([new], patches=new)) == [(old, new)]


def test_what_comes_or_goes_has_no_counterpart() -> None:
    patch = store("fix.patch")
    before, after = side([DOT[0]], src=DOT[0]), side([DOT[1], patch], src=DOT[1], patches=patch)
    assert set(pair_sources(before, after)) == {DOT, (None, patch)}
    assert set(pair_sources(after, before)) == {DOT[::-1], (patch, None)}


def changed(before: dict[str, str], after: dict[str, str], sources: tuple[list[str], list[str]]) -> why.Comparison:
    old: Graph = {}
    new: Graph = {}
    a, b = drv(old, "app", sources=sources[0], **before), drv(new, "app", sources=sources[1], **after)
    top = drv(new, "top", b)
    roots = [(drv(old, "top", a), top)]
    return why.compare(roots, set(old), lambda ps: {p: old[p] for p in ps}, lambda ps: {p: new[p] for p in ps})


def lines(found: why.Comparison) -> list[str]:
    (root,) = set(found.root.values())
    return [each.line() for each in (root, *found.beside.get(root, ()))]


def test_a_source_that_moved_with_its_path_is_all_that_differs() -> None:
    """Its own path in the environment is no further difference."""
    found = changed({"src": f"{DOT[0]}/x"}, {"src": f"{DOT[1]}/x"}, ([DOT[0]], [DOT[1]]))
    assert lines(found) == ["source of app"]
    assert set(found.others.values()) == {0}


def test_what_else_differs_is_beside_a_source() -> None:
    """Else a README in the source would be all that a derivation with other flags was built for."""
    found = changed({"src": DOT[0], "flags": "1"}, {"src": DOT[1], "flags": "2"}, ([DOT[0]], [DOT[1]]))
    assert lines(found) == ["source of app", "flags of app: 1 → 2"]
    assert set(found.others.values()) == {1}
    found = changed(
        {"src": DOT[0], "data": SUB[0]}, {"src": DOT[1], "data": SUB[1]}, ([DOT[0], SUB[0]], [DOT[1], SUB[1]])
    )
    assert lines(found) == ["source of app", "source sub of app"]


def test_an_output_below_is_no_source() -> None:
    graph: Graph = {}
    base = drv(graph, "base")
    assert pair_sources(graph[drv(graph, "a", base, src=out(graph, base))], side([DOT[1]], src=DOT[1])) == [
        (None, DOT[1])
    ]
