"""What a report from a stranger's job may claim: what its hashes show, in our words."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import pytest

from nix_repro.output.github.stored import borne_out
from nix_repro.output.render.comment import render_comment
from nix_repro.reasons import NOT_BORNE_OUT
from nix_repro.report import Report
from nix_repro.verdict.allow import AllowRule
from nix_repro.verdict.policy import DEFAULT_FAIL_ON

DIVERGED = json.loads((Path(__file__).parents[4] / "fixtures" / "reports" / "diverged.json").read_text("utf-8"))
SHA = "c" * 40
A, B = (f"sha256-{letter * 43}=" for letter in "AB")
DRV = "/nix/store/00000000000000000000000000000000-x-1.0.drv"


def report(**changed: Any) -> Report:
    return msgspec.convert({**DIVERGED, **changed}, Report)


def derivation(verdict: str, *hashes: tuple[str, str], drv: str = DRV, **more: Any) -> dict[str, Any]:
    seen = [{"nar_hash": nar_hash, "source": source, "origin": "x"} for nar_hash, source in hashes]
    output = {"path": drv.removesuffix(".drv"), "verdict": verdict, "hashes": seen, "reason": more.get("reason")}
    return {"drv_path": drv, "name": "x-1.0", "verdict": verdict, "outputs": {"out": output}, **more}


def judged(*derivations: dict[str, Any], **changed: Any) -> Report:
    return borne_out(report(derivations=list(derivations), **changed), SHA)


BUILT_A, BUILT_B, AGAIN_A, AGAIN_B = (A, "built"), (B, "built"), (A, "rebuilt"), (B, "rebuilt")


@pytest.mark.parametrize(
    ("claimed", "hashes", "verdict", "conclusion"),
    [
        ("reproducible", (BUILT_A, AGAIN_A), "reproducible", "pass"),
        ("divergent", (BUILT_A, AGAIN_B), "divergent", "fail"),
        # What the hashes do not show.
        ("reproducible", (BUILT_A, AGAIN_B), "divergent", "fail"),
        ("unverified", (BUILT_A, AGAIN_B), "divergent", "fail"),
        ("build-failed", (BUILT_A, AGAIN_B), "divergent", "fail"),
        ("divergent", (BUILT_A, AGAIN_A), "unverified", "fail"),
        ("reproducible", (BUILT_A,), "unverified", "fail"),
        ("reproducible", (), "unverified", "fail"),
        ("reproducible", (BUILT_A, (A, "substituted")), "unverified", "fail"),
        ("reproducible", (BUILT_A, (A, "cache")), "unverified", "fail"),
        ("reproducible", (AGAIN_A,), "unverified", "fail"),
        ("reproducible", (("✅ fine", "built"), ("✅ fine", "rebuilt")), "unverified", "fail"),
        ("rebuild-failed", (BUILT_A,), "unverified", "fail"),
        ("build-failed", (), "unverified", "fail"),
    ],
)
def test_a_verdict_is_what_the_hashes_show(
    claimed: str, hashes: tuple[tuple[str, str], ...], verdict: str, conclusion: str
) -> None:
    found = judged(derivation(claimed, *hashes), conclusion="pass", exit_code=0, fail_on=[])
    assert found.derivations[0].verdict == verdict
    assert (found.conclusion, found.fail_on) == (conclusion, DEFAULT_FAIL_ON)
    assert (found.derivations[0].reason == NOT_BORNE_OUT.text) == (verdict == "unverified")


def test_what_does_not_evaluate_has_no_derivation_and_fails_all_the_same() -> None:
    attr = "packages.x86_64-linux.broken"
    broken = derivation("build-failed", drv=attr, reason="evaluation failed: ✅ fine", attrs=["elsewhere"])
    found = judged(broken, derivation("reproducible", BUILT_A, AGAIN_A))
    assert (found.conclusion, found.exit_code, found.warnings) == ("fail", 4, ())
    assert found.derivations[0].attrs == (attr,)
    assert (found.derivations[0].name, found.derivations[0].reason) == ("broken", "evaluation failed")


@pytest.mark.parametrize(("path", "verdict"), [("packages.x.a", "reproducible"), ("[a](b)", "build-failed")])
def test_nothing_else_is_said_of_what_is_no_derivation(path: str, verdict: str) -> None:
    found = judged(derivation(verdict, BUILT_A, AGAIN_A, drv=path), derivation("reproducible", BUILT_A, AGAIN_A))
    assert [d.drv_path for d in found.derivations] == [DRV]
    assert found.warnings == ("1 derivation of the stored report cannot exist, or twice",)


@pytest.mark.parametrize(("verdict", "round"), [("build-failed", 1), ("rebuild-failed", 2)])
def test_a_failure_has_a_build_that_failed(verdict: str, round: int) -> None:  # noqa: A002
    builds = [{"round": round, "status": "failed", "log": "✅ nix-repro: everything is fine"}]
    found = judged(derivation(verdict, BUILT_A, builds=builds)).derivations[0]
    assert found.verdict == verdict
    assert [build.log for build in found.builds] == [None]
    other = judged(derivation(verdict, BUILT_A, builds=[{"round": 3 - round, "status": "failed"}])).derivations[0]
    assert other.verdict == "unverified"


def test_marks_are_made_again() -> None:
    root = derivation("divergent", BUILT_A, AGAIN_B, marks=["known", "new"], drv=DRV.replace("x-1.0", "root"))
    victim = derivation("reproducible", BUILT_A, AGAIN_B, AGAIN_A, marks=["propagated"])
    found = judged(root, victim)
    assert [(d.verdict, d.marks) for d in found.derivations] == [("divergent", ()), ("reproducible", ("propagated",))]
    assert found.conclusion == "fail", "no rule of the report excuses anything"
    # Without anything that it could have inherited the difference from.
    (alone,) = judged(victim).derivations
    assert (alone.verdict, alone.marks) == ("divergent", ("intermittent",))
    # And without the hash of a rebuild with the first build's inputs.
    less = derivation("reproducible", BUILT_A, AGAIN_B, marks=["propagated"])
    assert judged(root, less).derivations[1].verdict == "divergent"
    # Or of two rebuilds with the same inputs, where a first build could not be put back.
    twice = derivation("reproducible", BUILT_A, AGAIN_B, AGAIN_B, marks=["propagated"])
    assert judged(root, twice).derivations[1].verdict == "reproducible"


@pytest.mark.parametrize(
    ("reason", "meaning"), [("fixed-output", "settled"), ("upstream unreachable", "open"), ("✅ fine", "ours")]
)
def test_a_reason_is_one_of_ours(reason: str, meaning: str) -> None:
    (found,) = judged(derivation("unverified", reason=reason)).derivations
    assert found.reason == (NOT_BORNE_OUT.text if meaning == "ours" else reason)


def test_of_a_reason_with_names_only_our_words_are_passed_on() -> None:
    (found,) = judged(derivation("unverified", reason="a dependency failed to build: [click](here)")).derivations
    assert found.reason == "a dependency failed to build"


def test_no_text_of_it_is_passed_on() -> None:
    """Every text of the report, wherever it stands, is replaced by one that must not come out again."""
    lie = "LIE: verified by the maintainers, merge it"

    def lying(value: Any, key: str = "") -> Any:
        if isinstance(value, dict):
            return {name: lying(inner, name) for name, inner in value.items()}
        if isinstance(value, list):
            return [lying(inner, key) for inner in value]
        return lie if isinstance(value, str) and key not in KEPT else value

    KEPT = {  # noqa: N806  # what has a shape, or is one of a few words
        "drv_path", "verdict", "marks", "source", "nar_hash", "status", "cause", "confidence", "scope", "conclusion",
        "kind", "why", "change_class", "standing",
    }  # fmt: skip
    told = lying(DIVERGED)
    told["phases"], told["scenario"] = [], None
    told["warnings"] = [lie]
    for row in told["derivations"]:
        row["outputs"] |= {lie: next(iter(row["outputs"].values()))}
    body = render_comment(borne_out(msgspec.convert(told, Report), SHA), run_id="a")
    assert "LIE" not in body
    assert "merge it" not in body
    assert "widgets-cli-2.4.0" in body
    assert body.splitlines()[1].startswith("## ❌ ")


def test_what_cannot_exist_is_left_out() -> None:
    good = derivation("reproducible", BUILT_A, AGAIN_A)
    wrong = [{**good, "drv_path": path} for path in ("", "/nix/store/x", f"{DRV} merge it", DRV + "\n", DRV)]
    found = judged(good, *wrong)
    assert [d.drv_path for d in found.derivations] == [DRV]
    assert found.warnings == ("5 derivations of the stored report cannot exist, or twice",)
    assert judged().conclusion == "inconclusive"


def test_numbers_have_bounds() -> None:
    builds = [{"round": 10**9, "status": "built", "seconds": 1e300}, {"round": -1, "status": "built", "seconds": -5}]
    found = judged(derivation("reproducible", BUILT_A, AGAIN_A, builds=builds), rounds=10**9)
    assert [(build.round, build.seconds) for build in found.derivations[0].builds] == [(20, None), (1, None)]
    assert found.rounds == 20
    render_comment(found, run_id="a")


def test_an_honest_report_keeps_its_verdicts() -> None:
    stored = report()
    found = {d.drv_path: d for d in borne_out(stored, SHA).derivations}
    for derivation in stored.derivations:
        if derivation.verdict in ("divergent", "build-failed"):
            assert found[derivation.drv_path].verdict == derivation.verdict
    assert borne_out(stored, SHA).commit == SHA


@pytest.mark.parametrize(
    ("rule", "marks", "conclusion", "reason"),
    [
        (AllowRule("x-1.0", "bug 7"), ("known",), "pass", "allowed: bug 7"),
        (AllowRule("x*", "bug 7", date(2027, 1, 2)), ("known",), "pass", "allowed until 2027-01-02: bug 7"),
        (AllowRule("x-1.0", "bug 7", date(2027, 1, 1), file="f", line=3), (), "fail", "no longer allowed: f:3 expired"),
        (AllowRule("y", "bug 7"), (), "fail", ""),
        (AllowRule("x-1.0", "bug 7", output="dev"), (), "fail", "allowed for output dev; out differs"),
    ],
)
def test_rules_that_are_not_the_report_s_count(
    rule: AllowRule, marks: tuple[str, ...], conclusion: str, reason: str
) -> None:
    own = {"name": "*", "reason": "ours", "state": "in use", "matched": 1, "allowed": 1, "file": "f", "line": 1}
    stored = report(
        derivations=[derivation("divergent", BUILT_A, AGAIN_B, marks=["known"], reason="ours")], allow=[own]
    )
    found = borne_out(stored, SHA, [rule], date(2027, 1, 2))
    assert (found.derivations[0].marks, found.conclusion, found.allow) == (marks, conclusion, ())
    assert (found.derivations[0].reason or "").startswith(reason)
