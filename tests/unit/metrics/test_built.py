"""Why anything was built, in words: new, changed and by what, a cache that missed, or nobody can tell."""

from __future__ import annotations

import msgspec
import pytest

from nix_repro.metrics.built import (
    Asked,
    Causes,
    built_because,
    built_because_all,
    change_report,
    idle_findings,
    root_line,
)
from nix_repro.metrics.change import Classified
from nix_repro.nix.derivation import Derivation, DrvOutput
from nix_repro.plan.against import Against
from nix_repro.plan.base import Base
from nix_repro.plan.compare import Comparison, Root

SOURCE = Root("/s/app.drv", "app", "source", "source", "/s/old", "/s/new")
OUT = f"/nix/store/{'a' * 32}-x"
DRV = Derivation("/s/x.drv", "x", "x", "/bin/sh", (), {}, {"out": DrvOutput(OUT)}, {}, ())


def against(**fields: object) -> Against:
    comparison = Comparison(
        pairs={"/s/app.drv": "/s/app-old.drv", "/s/fresh.drv": None, "/s/lost.drv": "/s/lost-old.drv"},
        root={"/s/app.drv": SOURCE},
        others={"/s/app.drv": 2},
    )
    base = Base("main (abc)", {}, frozenset({"/s/same.drv"}))
    compared = frozenset({*comparison.pairs, "/s/same.drv"})
    return Against(base, comparison, compared, {SOURCE: ["src/main.c", "src/util.c"]})


CHANGE = Classified({SOURCE: "partial"}, "partial", ())
OWN = {"/s/app.drv", "/s/fresh.drv", "/s/lost.drv", "/s/same.drv", "/s/other.drv"}
UPSTREAM = "https://cache.nixos.org"
ASKED = Asked([f"{UPSTREAM}/"], upstream=[UPSTREAM], queries={"a" * 32: {UPSTREAM}})
CAUSES = Causes(OWN, against(), CHANGE, ASKED)


@pytest.mark.parametrize(
    ("drv_path", "why", "said"),
    [
        ("/s/fresh.drv", "new", None),
        ("/s/app.drv", "changed", "src/main.c and 1 more in the source of app (and 2 more changes)"),
        ("/s/lost.drv", "changed", None),
        ("/s/other.drv", "unknown", "it is not compared with the base"),
        ("/s/same.drv", "cache miss", "unchanged; asked: cache.nixos.org"),
        ("/s/nixpkgs.drv", "cache miss", "unchanged; asked: cache.nixos.org"),
    ],
)
def test_each_build_has_its_reason(drv_path: str, why: str, said: str | None) -> None:
    found = built_because(drv_path, DRV, CAUSES)
    assert (found.why, found.root_change) == (why, said)
    assert found.change_class == ("partial" if drv_path == "/s/app.drv" else None)


def test_without_a_base_nobody_can_tell_of_the_repository_s_own() -> None:
    causes = Causes(OWN, None, None, Asked())
    assert built_because("/s/app.drv", DRV, causes).root_change == "there is no base to compare with (--base)"
    assert built_because("/s/nixpkgs.drv", None, causes).root_change == "unchanged; no cache is configured"
    assert not causes.unchanged("/s/app.drv")
    assert causes.unchanged("/s/nixpkgs.drv")


def test_what_no_cache_is_asked_for_is_no_miss_of_theirs() -> None:
    local = msgspec.structs.replace(DRV, env={"allowSubstitutes": ""})
    said = built_because("/s/same.drv", local, CAUSES).root_change
    assert said == "unchanged; no cache is asked for it (allowSubstitutes = false)"


def test_caches_that_were_left_out_are_named_apart() -> None:
    queries = {"a" * 32: {"https://a.example"}}
    asked = Asked(["https://a.example/?x=1", "http://b.example"], {"http://b.example"}, queries=queries)
    assert asked.line([OUT]) == "asked: a.example; left out: b.example"
    assert Asked(["http://b.example"], {"http://b.example"}).line([OUT]) == "left out: b.example"
    # It was asked before it was left out.
    late = {"https://a.example"}
    assert Asked(["https://a.example"], late, queries=queries).line([OUT]) == "asked: a.example"


def test_a_cache_that_nix_did_not_ask_was_not_asked() -> None:
    urls = ["https://a.example", "https://b.example"]
    remembers = "(Nix remembers that it had nothing: narinfo-cache-negative-ttl, 1h 00m)"
    asked = Asked(urls, queries={"a" * 32: {"https://a.example"}, "b" * 32: set(urls)})
    assert asked.line([OUT]) == f"asked: a.example; not asked: b.example {remembers}"
    assert asked.line([OUT.replace("a" * 32, "b" * 32)]) == "asked: a.example, b.example"
    assert asked.line([]) == "configured: a.example, b.example", "of what is not known nobody can tell"
    half_a_minute = Asked(urls[:1], remembered=30)
    assert half_a_minute.line([OUT]).endswith("narinfo-cache-negative-ttl, 30 s)")


def test_what_no_cache_has_is_told_from_what_depends_on_it() -> None:
    def node(name: str, *inputs: str, **fields: object) -> Derivation:
        inputs_of = {f"/s/{i}.drv": ("out",) for i in inputs}
        return msgspec.structs.replace(DRV, drv_path=f"/s/{name}.drv", name=name, input_drvs=inputs_of, **fields)

    source = node("src", outputs={"out": DrvOutput(OUT, fixed=True)})
    graph = [
        source,
        node("glibc", "src"),
        node("zlib"),
        node("text", env={"allowSubstitutes": ""}),
        node("curl", "glibc", "zlib", "text"),
        node("git", "curl"),
        node("alone", "cached"),
    ]
    rows = built_because_all({drv.drv_path: drv for drv in reversed(graph)} | {"/s/odd.drv": None}, CAUSES)
    said = {row.drv_path.removeprefix("/s/").removesuffix(".drv"): row.root_change for row in rows}
    missing, below = "unchanged; asked: cache.nixos.org", "unchanged; depends on glibc, zlib, which no cache has either"
    assert said["odd"] == "unchanged; configured: cache.nixos.org"
    assert {name for name, text in said.items() if text == missing} == {"src", "glibc", "zlib", "alone"}
    assert {name for name, text in said.items() if text == below} == {"curl", "git"}
    assert said["text"] == "unchanged; no cache is asked for it (allowSubstitutes = false)"


def test_a_source_whose_files_nobody_knows_is_named_alone() -> None:
    assert root_line(SOURCE, None) == "source of app"
    assert root_line(SOURCE, ["flake.nix"]) == "flake.nix in the source of app"


def test_the_report_counts_what_the_change_touches() -> None:
    found = change_report(against(), CHANGE)
    assert (found.base, found.change_class, found.derivations) == ("main (abc)", "partial", 3)


def test_what_should_have_rebuilt_nothing_is_a_finding_when_it_did() -> None:
    assert idle_findings(against(), {SOURCE: "partial"}, ["/s/app.drv"]) == []
    assert idle_findings(against(), {SOURCE: "none"}, ["/s/nixpkgs.drv"]) == []
    [found] = idle_findings(
        against(), {SOURCE: "none"}, ["/nix/store/00000000000000000000000000000000-x.drv", "/s/app.drv"]
    )
    assert "src/main.c" in found
    assert "app" in found
