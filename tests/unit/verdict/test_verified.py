"""Which outputs are handed on."""

from __future__ import annotations

from dataclasses import replace

import pytest

from graphs import plain
from nix_repro.plan.scope import Plan, make_plan
from nix_repro.report import Hash, Mark, Verdict
from nix_repro.verdict.verdict import Judged, JudgedOutput
from nix_repro.verdict.verified import downloads, verified_outputs, whole, withdrawn_outputs

GRAPH = {
    drv.drv_path: drv
    for drv in (
        plain("source", fixed=True),
        plain("base", "source"),
        plain("lib", "base", outputs=("out", "dev")),
        plain("app", "lib!dev"),
        plain("other"),
    )
}
PLAN = make_plan({"app": "/s/app.drv", "other": "/s/other.drv"}, "closure", lambda *_: GRAPH, None)


def judged(plan: Plan = PLAN, /, **verdicts: Verdict | Mark) -> dict[str, Judged]:
    """Everything is reproducible but for what is named, with its verdict or its mark."""
    found = {}
    for path in plan.targets:
        drv = plan.derivations[path]
        said = verdicts.get(drv.name, "reproducible")
        verdict: Verdict = "reproducible" if said in ("propagated", "known") else said  # type: ignore[assignment]
        marks: tuple[Mark, ...] = (said,) if said in ("propagated", "known") else ()
        hashes = (Hash(nar_hash=f"sha256-{drv.name}", source="built", origin="round 1"),)
        outputs = {
            name: JudgedOutput(output.path, "reproducible", hashes=hashes) for name, output in drv.outputs.items()
        }
        found[path] = Judged(verdict, outputs, marks)
    return found


def names(paths: object) -> list[str]:
    assert isinstance(paths, dict | set)
    return sorted(path.removeprefix("/s/") for path in paths)


ALL = ["app-out", "base-out", "lib-dev", "lib-out", "other-out"]


@pytest.mark.parametrize(
    ("verdicts", "published", "withdrawn"),
    [
        ({}, ALL, []),
        ({"other": "divergent"}, ALL[:-1], ["other-out"]),
        ({"base": "divergent"}, ["other-out"], ALL[:-1]),
        ({"lib": "divergent"}, ["base-out", "other-out"], ["app-out", "lib-dev", "lib-out"]),
        ({"lib": "propagated"}, ["base-out", "other-out"], ["app-out", "lib-dev", "lib-out"]),
        # No divergence is known of what failed or was not looked at: what was handed on before may stay.
        ({"lib": "unverified"}, ["app-out", "base-out", "other-out"], []),
        ({"other": "rebuild-failed", "app": "build-failed"}, ["base-out", "lib-dev", "lib-out"], []),
        ({"other": "known"}, ALL, []),
    ],
)
def test_verified_and_above_no_divergence(
    verdicts: dict[str, Verdict | Mark], published: list[str], withdrawn: list[str]
) -> None:
    found = judged(PLAN, **verdicts)
    assert names(verified_outputs(PLAN, found)) == published
    assert names(withdrawn_outputs(PLAN, found)) == withdrawn


def test_one_bad_output_keeps_back_all_of_its_derivation() -> None:
    found = judged()
    lib = found["/s/lib.drv"]
    outputs = {**lib.outputs, "dev": replace(lib.outputs["dev"], verdict="divergent")}
    found["/s/lib.drv"] = replace(lib, verdict="divergent", outputs=outputs)
    assert names(verified_outputs(PLAN, found)) == ["base-out", "other-out"]


def test_each_with_the_hash_that_was_verified_and_dependencies_first() -> None:
    found = verified_outputs(PLAN, judged())
    assert found["/s/lib-dev"] == "sha256-lib"
    assert list(found).index("/s/base-out") < list(found).index("/s/lib-out") < list(found).index("/s/app-out")


def test_what_is_found_by_its_content_is_left_out() -> None:
    graph = {d.drv_path: d for d in (plain("floating", floating=True), plain("deferred", "floating", floating=True))}
    plan = make_plan({"x": "/s/deferred.drv"}, "closure", lambda *_: graph, None)
    assert verified_outputs(plan, judged(plan)) == {}


def test_a_run_that_ended_early_hands_on_nothing() -> None:
    assert verified_outputs(PLAN, {}) == {}


def test_downloads_are_what_their_derivations_say() -> None:
    assert downloads(PLAN) == {"/s/source-out"}


def test_what_refers_to_something_that_is_nowhere_is_left_out() -> None:
    references = {"app": ("lib", "app", "glibc"), "lib": ("own-source",), "odd": ("unknown",), "above-odd": ("odd",)}
    assert whole(references, {"glibc", "own-source"}) == {"app", "lib"}
    assert whole({"a": ("b",), "b": ("a",)}, ()) == {"a", "b"}
    assert whole({}, ()) == set()
