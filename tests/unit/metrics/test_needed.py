"""What was needed and where it came from: which questions the store is asked, and what its answers mean."""

from __future__ import annotations

from pytest_mock import MockerFixture

from graphs import Graph, drv, out
from nix_repro.metrics.needed import (
    Needs,
    Work,
    built_last,
    candidates,
    find_needs,
    inputs_beside,
    known_outputs,
    without_sources,
)
from nix_repro.nix.caches.kinds import BUILT, LOCAL
from nix_repro.nix.command import Nix
from nix_repro.nix.derivation import Derivation, DrvOutput, PathInfo
from nix_repro.nix.log.recorder import Activity
from nix_repro.observations import Attempt, Seen
from nix_repro.plan.scope import Plan

CACHE = "https://cache.example"


def plan_of(graph: Graph, *targets: str) -> Plan:
    return Plan({"packages.x.default": targets[-1]}, {path: graph[path] for path in targets}, targets, {})


def built(*drv_paths: str, at: float = 10.0) -> list[Activity]:
    return [Activity(path, "", at, at + 1) for path in drv_paths]


def test_inputs_of_what_was_built_are_asked_for_once() -> None:
    graph: Graph = {}
    lib = drv(graph, "lib")
    tool = drv(graph, "tool", lib)
    app = drv(graph, "app", lib, tool)
    assert inputs_beside([app, "/nix/store/unknown.drv"], {app: graph[app]}) == [lib, tool]
    assert inputs_beside([app], graph) == []


def test_an_output_that_only_the_build_could_show_is_known_afterwards() -> None:
    floating = Derivation("/s/f.drv", "f", "x", "/bin/sh", (), {}, {"out": DrvOutput(None, floating=True)}, {}, ())
    first = {floating.drv_path: Attempt(floating.drv_path, 1, "built", {"out": Seen("/s/f", "h", "built", "")})}
    assert known_outputs({floating.drv_path: floating}, {}) == {}
    assert known_outputs({floating.drv_path: floating}, first) == {"/s/f": floating}


def test_of_an_input_only_the_outputs_that_are_named_may_have_been_needed() -> None:
    graph: Graph = {}
    lib = drv(graph, "lib")
    doc = DrvOutput("/nix/store/lib-doc")
    graph[lib] = Derivation(lib, "lib", "x", "/bin/sh", (), {}, {"out": graph[lib].outputs["out"], "doc": doc}, {}, ())
    app = drv(graph, "app", lib)
    work = Work(built(app), [Activity("/nix/store/fetched", CACHE, 0.0, 1.0)])
    found = candidates(plan_of(graph, app), work, graph, known_outputs(graph, {}))
    assert found == {out(graph, app), out(graph, lib), "/nix/store/fetched"}


def test_sources_and_drv_files_are_no_cache_s_business() -> None:
    graph: Graph = {}
    app = drv(graph, "app", sources=["/nix/store/src"])
    assert without_sources([app, "/nix/store/src", out(graph, app)], graph) == {out(graph, app)}


def test_who_came_last_made_the_path() -> None:
    """Fetched and then built for another's sake, built and then fetched, there before: only the first was built."""
    graph: Graph = {}
    paths = [drv(graph, name) for name in ("fetched-first", "fetched-last", "present")]
    outputs = {out(graph, path): graph[path] for path in paths}
    fetches = [Activity(out(graph, paths[0]), CACHE, 5.0), Activity(out(graph, paths[1]), CACHE, 15.0)]
    work = Work(built(*paths), fetches, present={out(graph, paths[2])})
    assert built_last(work, outputs) == {out(graph, paths[0])}


def test_the_store_is_asked_for_the_closure_of_what_was_needed(mocker: MockerFixture) -> None:
    graph: Graph = {}
    lib = drv(graph, "lib")
    app = drv(graph, "app", lib, sources=["/nix/store/src"])
    paths = {"app": out(graph, app), "lib": out(graph, lib), "libc": "/nix/store/libc", "orphan": "/nix/store/orphan"}
    nix = mocker.create_autospec(Nix, instance=True)
    nix.derivations.side_effect = lambda wanted: {path: graph[path] for path in wanted}
    nix.invalid.return_value = set()
    nix.requisites.return_value = [*paths.values(), "/nix/store/src", app]
    nix.path_info.side_effect = lambda asked: {
        path: PathInfo(path, 10, deriver="/s/x.drv" if path == paths["libc"] else None) for path in asked
    }
    work = Work(built(app), [Activity(paths["lib"], CACHE, 0.0, 1.0)])
    found = find_needs(nix, plan_of(graph, app), work, upstream=[], restored=False)
    kinds = {path: place.kind for path, place in found.places.items()}
    assert kinds == {paths["app"]: "built", paths["lib"]: "project", paths["libc"]: "local"}, "nobody made the orphan"
    assert found.sizes[paths["app"]] == 10
    assert found.built == [app]
    nix.path_info.assert_called_once_with(sorted(paths.values()))


def test_what_was_built_is_listed_once_however_many_outputs_it_has() -> None:
    one = Derivation("/s/one.drv", "one", "x", "/bin/sh", (), {}, {}, {}, ())
    outputs = {"/s/one": one, "/s/one-doc": one, "/s/two": one}
    assert Needs({"/s/one": BUILT, "/s/one-doc": BUILT, "/s/two": LOCAL}, {}, outputs).built == ["/s/one.drv"]
