"""Scope: which derivations a run is about."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphs import GRAPHS, Graph, out, plain
from nix_repro.nix.derivation import Derivation
from nix_repro.nix.graph import levels
from nix_repro.plan.scope import Plan, built_here, make_plan, since
from nix_repro.reasons import FIXED_OUTPUT, IMPURE, NOT_NAMED, UNCHANGED, UNREACHABLE, UPSTREAM
from nix_repro.report import Scope


@dataclass
class World:
    """A store's derivations and what the upstream caches have. Remembers what was asked."""

    drvs: Mapping[str, Derivation]
    upstream: set[str] | None = field(default_factory=set)
    shown: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    last_first: bool = False

    def show(self, paths: Iterable[str], recursive: bool) -> dict[str, Derivation]:
        todo, found = list(paths), {}
        while todo:
            path = todo.pop(-1 if self.last_first else 0)
            if path not in found:
                self.shown.append(path)
                found[path] = self.drvs[path]
                todo += list(self.drvs[path].input_drvs) if recursive else []
        return found

    def available(self, paths: Iterable[str]) -> set[str] | None:
        asked = list(paths)
        self.asked += asked
        return None if self.upstream is None else self.upstream & set(asked)

    def plan(self, scope: Scope, *tops: str) -> Plan:
        return make_plan({f"packages.{top}": f"/s/{top}.drv" for top in tops}, scope, self.show, self.available)


def world(*drvs: Derivation, upstream: Iterable[str] | None = ()) -> World:
    return World({d.drv_path: d for d in drvs}, None if upstream is None else set(upstream))


def names(paths: Iterable[str]) -> list[str]:
    return [path.removeprefix("/s/").removesuffix(".drv") for path in paths]


CHAIN = (plain("src", fixed=True), plain("gcc"), plain("lib", "gcc", "src"), plain("app", "lib", "gcc"))


def test_the_tops_are_what_nothing_else_is_made_of() -> None:
    assert names(world(*CHAIN).plan("closure", "lib", "app", "gcc").tops) == ["app"]
    assert names(world(*CHAIN, plain("other")).plan("own", "other", "app", "src").tops) == ["other", "app"]
    assert names(world(*CHAIN).plan("installables", "gcc", "lib").tops) == ["lib"]


def test_installables_are_the_named_ones_only() -> None:
    it = world(*CHAIN)
    plan = it.plan("installables", "app")
    assert names(plan.targets) == ["app"]
    assert {names([path])[0]: why for path, why in plan.skipped.items()} == {"gcc": NOT_NAMED, "lib": NOT_NAMED}
    assert names(it.shown) == ["app"]
    assert it.asked == []


def test_a_named_dependency_is_no_skipped_one() -> None:
    plan = world(*CHAIN).plan("installables", "app", "lib")
    assert names(plan.targets) == ["lib", "app"]
    assert sorted(names(plan.skipped)) == ["gcc", "src"]


def test_closure_is_everything_but_what_cannot_diverge() -> None:
    plan = world(*CHAIN, upstream=["/s/gcc-out"]).plan("closure", "app")
    assert names(plan.targets) == ["gcc", "lib", "app"]
    assert plan.skipped == {"/s/src.drv": FIXED_OUTPUT}


def test_own_stops_at_what_an_upstream_cache_has() -> None:
    it = world(
        plain("bootstrap"),
        plain("gcc", "bootstrap"),
        plain("lib", "gcc"),
        plain("app", "lib", "gcc"),
        upstream=["/s/gcc-out"],
    )
    plan = it.plan("own", "app")
    assert names(plan.targets) == ["lib", "app"]
    assert plan.skipped == {"/s/gcc.drv": UPSTREAM}
    assert "bootstrap" not in names(it.shown), "what lies below is never even read"


def test_own_walks_through_what_is_not_upstream_itself() -> None:
    """A fork of a compiler: its own derivation is ours, what it is built from is not."""
    it = world(plain("bootstrap"), plain("gcc", "bootstrap"), plain("app", "gcc"), upstream=["/s/bootstrap-out"])
    assert names(it.plan("own", "app").targets) == ["gcc", "app"]


def test_only_the_outputs_that_somebody_wants_must_be_upstream() -> None:
    it = world(plain("lib", outputs=("out", "debug")), plain("app", "lib!out"), upstream=["/s/lib-out"])
    assert names(it.plan("own", "app").targets) == ["app"]
    it = world(plain("lib", outputs=("out", "debug")), plain("app", "lib!debug"), upstream=["/s/lib-out"])
    assert names(it.plan("own", "app").targets) == ["lib", "app"]


def test_a_named_derivation_is_wanted_with_all_its_outputs() -> None:
    it = world(plain("lib", outputs=("out", "debug")), upstream=["/s/lib-out"])
    assert names(it.plan("own", "lib").targets) == ["lib"]
    assert world(plain("lib"), upstream=["/s/lib-out"]).plan("own", "lib").targets == ()


@pytest.mark.parametrize("last_first", [False, True])
def test_an_output_that_is_wanted_later_is_asked_for_later(last_first: bool) -> None:
    """At first only lib!out is wanted, which upstream has; a level further down somebody wants lib!debug, which it has
    not."""
    drvs = [
        plain("base"),
        plain("lib", "base", outputs=("out", "debug")),
        plain("tool", "lib!debug"),
        plain("app", "lib!out", "tool"),
    ]
    it = world(*drvs, upstream=["/s/lib-out"])
    it.last_first = last_first
    plan = it.plan("own", "app")
    assert names(plan.targets) == ["base", "lib", "tool", "app"]
    assert plan.skipped == {}
    it = world(*drvs, upstream=["/s/lib-out", "/s/lib-debug"])
    it.last_first = last_first
    both = it.plan("own", "app")
    assert names(both.targets) == ["tool", "app"]
    assert both.skipped == {"/s/lib.drv": UPSTREAM}


def test_fixed_outputs_are_neither_asked_for_nor_followed() -> None:
    it = world(plain("curl"), plain("src", "curl", fixed=True), plain("app", "src"))
    plan = it.plan("own", "app")
    assert names(plan.targets) == ["app"]
    assert plan.skipped == {"/s/src.drv": FIXED_OUTPUT}
    assert it.asked == ["/s/app-out"]


def test_what_no_cache_can_be_asked_for_is_our_own() -> None:
    it = world(plain("gcc"), plain("floating", "gcc", floating=True), upstream=["/s/gcc-out"])
    assert names(it.plan("own", "floating").targets) == ["floating"]
    assert it.asked == ["/s/gcc-out"]


def test_impure_derivations_are_left_out_with_their_reason() -> None:
    plan = world(plain("now", impure=True), plain("app", "now")).plan("closure", "app")
    assert plan.skipped == {"/s/now.drv": IMPURE}
    assert names(plan.targets) == ["app"]


def test_without_upstream_caches_everything_is_our_own() -> None:
    it = world(*CHAIN)
    plan = make_plan({"a": "/s/app.drv"}, "own", it.show, None)
    assert names(plan.targets) == ["gcc", "lib", "app"]
    assert not plan.upstream_unreachable


def test_without_upstream_caches_nix_is_asked_once() -> None:
    """Every question starts a process, and a chain has as many levels as derivations."""
    known = world(plain("top", "middle"), plain("middle", "bottom"), plain("bottom"))
    questions: list[list[str]] = []

    def show(paths: Iterable[str], recursive: bool) -> dict[str, Derivation]:
        questions.append(list(paths))
        return known.show(questions[-1], recursive)

    plan = make_plan({"packages.top": "/s/top.drv"}, "own", show, None)
    assert names(plan.targets) == ["bottom", "middle", "top"]
    assert questions == [["/s/top.drv"]]


def test_upstream_unreachable_is_decided_by_what_gets_built() -> None:
    plan = world(*CHAIN, upstream=None).plan("own", "app")
    assert plan.upstream_unreachable
    assert names(plan.targets) == ["gcc", "lib", "app"]
    after = built_here(plan, {"/s/app.drv", "/s/lib.drv"})
    assert names(after.targets) == ["lib", "app"]
    assert after.skipped == {"/s/gcc.drv": UNREACHABLE, "/s/src.drv": FIXED_OUTPUT}


def test_what_another_revision_has_too_is_not_looked_at() -> None:
    plan = world(*CHAIN).plan("closure", "app")
    after = since(plan, {"/s/gcc.drv", "/s/src.drv", "/s/other.drv"})
    assert names(after.targets) == ["lib", "app"]
    assert after.skipped == {"/s/gcc.drv": UNCHANGED, "/s/src.drv": FIXED_OUTPUT}


def test_attributes_that_name_the_same_derivation() -> None:
    it = world(*CHAIN)
    plan = make_plan(
        {"packages.default": "/s/app.drv", "packages.app": "/s/app.drv", "checks.lib": "/s/lib.drv"},
        "closure",
        it.show,
        None,
    )
    assert plan.attrs("/s/app.drv") == ("packages.default", "packages.app")
    assert plan.attrs("/s/gcc.drv") == ()
    assert plan.top_of("/s/app.drv") == "packages.default"
    assert plan.top_of("/s/lib.drv") == "checks.lib"
    assert plan.top_of("/s/gcc.drv") in ("packages.default", "checks.lib")


@pytest.mark.size
@pytest.mark.parametrize("scope", ["own", "closure"])
def test_five_thousand_levels(scope: Scope) -> None:
    deep = [plain("d0"), *(plain(f"d{n}", f"d{n - 1}") for n in range(1, 5000))]
    it = world(*deep)
    plan = it.plan(scope, "d4999")
    assert names(plan.targets) == [f"d{n}" for n in range(5000)]
    assert plan.top_of("/s/d0.drv") == "packages.d4999"
    assert len(levels(plan.targets, plan.derivations)) == 5000
    assert len(it.shown) == 5000


@given(GRAPHS, st.data())
def test_own_is_what_can_be_reached_without_passing_through_upstream(graph: Graph, data: st.DataObject) -> None:
    upstream = data.draw(st.sets(st.sampled_from(sorted(graph))))
    top = data.draw(st.sampled_from(sorted(graph)))
    it = World(graph, {out(graph, path) for path in upstream})
    plan = make_plan({"top": top}, "own", it.show, it.available)
    expected, todo = set(), [top]
    while todo:
        path = todo.pop()
        if path not in upstream and path not in expected:
            expected.add(path)
            todo += graph[path].input_drvs
    assert set(plan.targets) == expected
    assert len(it.shown) == len(set(it.shown)), "no derivation is read twice"
    assert len(it.asked) == len(set(it.asked)), "no path is asked for twice"
