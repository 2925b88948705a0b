"""Facts of a run in, measurements out: nothing is asked, nothing is kept."""

from __future__ import annotations

import pytest

from graphs import Graph, drv, out
from nix_repro.metrics.built import Asked
from nix_repro.metrics.measure import Facts, Measurements, measure
from nix_repro.metrics.needed import Needs
from nix_repro.metrics.targets import Limit
from nix_repro.nix.caches.incidents import Incident
from nix_repro.nix.caches.kinds import BUILT, LOCAL, CacheLayer
from nix_repro.nix.log.recorder import Activity
from nix_repro.plan.against import Against
from nix_repro.plan.base import Base
from nix_repro.plan.compare import Comparison, Root
from nix_repro.plan.scope import Plan
from nix_repro.reasons import UPSTREAM
from nix_repro.report import Phase
from nix_repro.verdict.policy import DEFAULT_FAIL_ON, overrun_fails

CACHIX = CacheLayer("project", "Cachix mine", "https://mine.cachix.org")
LATE = (Phase(name="build", seconds=500.0), Phase(name="total", seconds=510.0))
PHASES = (Phase(name="build", seconds=100.0), Phase(name="total", seconds=110.0))


def repository() -> tuple[Graph, str, str, str]:
    graph: Graph = {}
    libc = drv(graph, "libc")
    lib = drv(graph, "lib", libc)
    return graph, libc, lib, drv(graph, "app", lib)


def facts(**given: object) -> Facts:
    """A run in CI that built the app, fetched the library from the project's cache, and had libc from upstream."""
    graph, libc, lib, app = repository()
    plan = Plan({"packages.x.default": app}, graph, (lib, app), {libc: UPSTREAM})
    outputs = {out(graph, path): graph[path] for path in (libc, lib, app)}
    places = {out(graph, libc): LOCAL, out(graph, lib): CACHIX, out(graph, app): BUILT}
    needs = Needs(places, dict.fromkeys(places, 1000), outputs, graph)
    fields: dict[str, object] = {
        "plan": plan,
        "needs": needs,
        "builds": [Activity(app, "", 10.0, 110.0)],
        "fetches": [Activity(out(graph, lib), "https://mine.cachix.org", 5.0, 6.0)],
        "phases": PHASES,
        "asked": Asked(["https://mine.cachix.org"]),
        "ci": True,
        "jobs": "2",
    }
    return Facts(**{**fields, **given})  # type: ignore[arg-type]


def with_base(*changed: str, kind: str = "environment", files: list[str] | None = None) -> Against:
    _, _, lib, app = repository()
    root = Root(app, "app", kind, "src" if kind == "source" else "flags", "-O1", "-O2")
    comparison = Comparison(
        dict.fromkeys(changed, "/s/old.drv"), dict.fromkeys(changed, root), dict.fromkeys(changed, 0)
    )
    return Against(Base("main", {}, frozenset({lib})), comparison, frozenset({lib, app}), {root: files})


def test_a_run_that_came_to_nothing_measures_nothing() -> None:
    graph, *_, app = repository()
    found = measure(Facts(Plan({"x": app}, graph, (app,), {})))
    assert found.scenario is not None
    assert (found.scenario.name, found.caches.hit_rate, found.caches.layers) == ("first-time", None, ())
    assert [target.ok for target in found.targets] == [None], "the total was not measured"
    assert Measurements().targets == ()


@pytest.mark.parametrize(
    ("ci", "asked", "advisory"),
    [
        (False, [], True),
        (False, [Limit("build", 30.0)], False),
        (False, [Limit("build", 30.0, "first-time")], False),
        (False, [Limit("build", 30.0, "cold")], True),
        (False, [Limit("total", 60.0)], True),
        (True, [], False),
        (True, [Limit("build", 30.0)], False),
    ],
)
def test_outside_ci_what_nobody_has_set_is_advice(ci: bool, asked: list[Limit], advisory: bool) -> None:
    """A laptop that builds for 32 s is healthy."""
    row = "cold" if ci else "first-time" if asked and asked[0].scenario == "first-time" else "cached"
    found = measure(facts(ci=ci, limits=[*asked, Limit("hit rate", None)], chosen=row, phases=LATE))
    [build] = [target for target in found.targets if target.name == "build"]
    assert (build.ok, build.advisory) == (False, advisory)
    fails = any(overrun_fails(target, DEFAULT_FAIL_ON) for target in found.targets)
    assert fails == (not advisory or Limit("total", 60.0) in asked)


def test_without_a_base_the_repository_s_own_is_an_open_question() -> None:
    found = measure(facts())
    assert found.caches.hit_rate == 1.0, "only libc could have been expected of a cache"
    assert [(row.name, row.paths) for row in found.caches.layers] == [
        ("local store", 1),
        ("Cachix mine", 1),
        ("built", 1),
    ]
    assert [row.why for row in found.caches.built] == ["unknown"]
    assert found.caches.change is None


def test_with_a_base_what_did_not_change_should_have_been_fetched() -> None:
    *_, app = repository()
    assert measure(facts(against=with_base(app))).caches.hit_rate == 1.0
    missed = measure(facts(against=with_base()))
    assert missed.caches.hit_rate == 0.6667
    assert missed.caches.built[0].why == "cache miss"
    [target] = [target for target in missed.targets if target.name == "hit rate"]
    assert target.ok is False
    assert "app" in (target.advice or "")


def test_the_scenario_follows_from_the_caches_and_the_change() -> None:
    *_, app = repository()
    warm, cold = measure(facts()), measure(facts(against=with_base(app, kind="system")))
    assert warm.scenario is not None
    assert cold.scenario is not None
    assert (warm.scenario.name, cold.scenario.name) == ("warm", "cold")
    chosen = measure(facts(chosen="cached")).scenario
    assert chosen is not None
    assert chosen.name == "cached"


def test_in_ci_the_repository_s_own_in_the_local_store_was_restored() -> None:
    graph, _, lib, _ = repository()
    needs = Needs({out(graph, lib): LOCAL}, {}, {out(graph, lib): graph[lib]}, graph)
    warm, cold = measure(facts(needs=needs)).scenario, measure(facts(needs=Needs())).scenario
    assert warm is not None
    assert cold is not None
    assert (warm.name, cold.name) == ("warm", "cold")
    assert "local store 1" in warm.because


def test_an_overrun_is_explained_with_what_was_built() -> None:
    [build] = [t for t in measure(facts(limits=[Limit("build", 30.0)])).targets if t.name == "build"]
    assert build.ok is False
    assert "slowest: app 100.0 s" in (build.advice or "")


def test_a_target_for_tests_needs_tests() -> None:
    names = [[t.name for t in measure(facts(tested=tested)).targets] for tested in (False, True)]
    assert "test" not in names[0]
    assert "test" in names[1]
    assert "test" in [t.name for t in measure(facts(limits=[Limit("test", 5.0)])).targets], "somebody asked for it"


def test_incidents_name_the_cache_as_people_do() -> None:
    incident = Incident("https://mine.cachix.org", "dead", "could not be reached", 1, 2.0)
    [line] = measure(facts(incidents=[incident])).caches.incidents
    assert line.startswith("Cachix mine (https://mine.cachix.org): could not be reached; cost 2.0 s")


def test_what_should_have_rebuilt_nothing_is_a_warning() -> None:
    *_, app = repository()
    [warning] = measure(facts(against=with_base(app, kind="source", files=["README.md"]))).warnings
    assert warning.startswith("README.md changed, which should rebuild nothing, and rebuilt app")
