"""Policy: conclusion and exit code."""

from __future__ import annotations

import itertools

import pytest

from nix_repro.reasons import (
    CANCELLED,
    DISK_FULL,
    FIRST_OUTPUT_ONLY,
    FIXED_OUTPUT,
    IMPURE,
    PATH_REWRITING,
    TIMED_OUT,
    UNREACHABLE,
    UNSUPPORTED,
    UPSTREAM,
    Reason,
)
from nix_repro.report import SEVERITY, DerivationReport, Policy, SuiteRun, Target, Verdict
from nix_repro.verdict.conclusion import judge, judge_policies
from nix_repro.verdict.policy import DEFAULT_FAIL_ON, FAIL_ON

OVERRUN = Target(name="build", limit=1, actual=2, ok=False)
MET = Target(name="build", limit=3, actual=2, ok=True)
UNMEASURED = Target(name="build", limit=3, actual=None, ok=None)


def found(*verdicts: Verdict, reason: str = UNREACHABLE.text) -> list[DerivationReport]:
    return [
        DerivationReport(drv_path=f"/{n}", name="x", verdict=v, reason=reason if v == "unverified" else None)
        for n, v in enumerate(verdicts)
    ]


@pytest.mark.parametrize(
    ("verdicts", "targets", "expected"),
    [
        (["reproducible"], [], ("pass", 0)),
        (["reproducible"], [MET, UNMEASURED], ("pass", 0)),
        (["reproducible"], [MET, OVERRUN], ("fail", 3)),
        (["reproducible", "divergent"], [], ("fail", 1)),
        (["reproducible", "divergent", "build-failed", "unverified"], [OVERRUN], ("fail", 1)),
        (["reproducible", "build-failed"], [OVERRUN], ("fail", 4)),
        (["reproducible", "rebuild-failed"], [], ("fail", 4)),
        (["reproducible", "unverified"], [], ("inconclusive", 5)),
        (["build-failed"], [], ("fail", 4)),
        (["unverified"], [], ("inconclusive", 5)),
        ([], [], ("inconclusive", 5)),
    ],
)
def test_by_default(verdicts: list[Verdict], targets: list[Target], expected: tuple[str, int]) -> None:
    assert judge(found(*verdicts), targets, DEFAULT_FAIL_ON) == expected


@pytest.mark.parametrize("reason", [FIXED_OUTPUT, IMPURE, UPSTREAM])
def test_what_was_never_to_be_verified_leaves_nothing_open(reason: Reason) -> None:
    assert judge(found("reproducible", "unverified", reason=reason.text), [], DEFAULT_FAIL_ON) == ("pass", 0)


@pytest.mark.parametrize("reason", [FIXED_OUTPUT, UPSTREAM])
def test_but_nothing_else_is_no_evidence(reason: Reason) -> None:
    assert judge(found("unverified", reason=reason.text), [], DEFAULT_FAIL_ON) == ("inconclusive", 5)


@pytest.mark.parametrize("reason", [UNREACHABLE, UNSUPPORTED, FIRST_OUTPUT_ONLY, CANCELLED])
def test_open_questions_are_inconclusive_and_fail_on_demand(reason: Reason) -> None:
    derivations = found("reproducible", "unverified", reason=reason.text)
    assert judge(derivations, [], DEFAULT_FAIL_ON) == ("inconclusive", 5)
    assert judge(derivations, [], ["unverified"]) == ("fail", 5)
    assert judge(derivations, [], []) == ("inconclusive", 5), "never a pass, whatever is asked for"


@pytest.mark.parametrize("reason", [TIMED_OUT, PATH_REWRITING, DISK_FULL])
def test_what_a_builder_can_bring_about_is_no_open_question(reason: Reason) -> None:
    """One that hangs the second time has not been shown to come to the same."""
    assert judge(found("reproducible", "unverified", reason=reason.text), [], []) == ("fail", 5)


def test_what_is_not_in_fail_on_does_not_fail() -> None:
    everything = found("reproducible", "divergent", "build-failed", "rebuild-failed")
    assert judge(everything, [OVERRUN], []) == ("pass", 0)
    assert judge(everything, [OVERRUN], ["overrun"]) == ("fail", 3)
    assert judge(everything, [OVERRUN], ["overrun", "build-failure"]) == ("fail", 4)


@pytest.mark.parametrize("signum", [2, 15])
def test_interrupted_goes_before_everything(signum: int) -> None:
    assert judge(found("reproducible"), [], DEFAULT_FAIL_ON, signum=signum) == ("inconclusive", 128 + signum)
    assert judge(found("divergent"), [], DEFAULT_FAIL_ON, signum=signum) == ("fail", 128 + signum)


def test_precedence_in_every_combination() -> None:
    """Divergence, build failure, unverified, overrun: the first that is there and listed decides."""
    for size in range(1, len(SEVERITY) + 1):
        for verdicts in itertools.combinations(SEVERITY, size):
            for length in range(len(FAIL_ON) + 1):
                for fail_on in itertools.combinations(FAIL_ON, length):
                    for targets in ([], [OVERRUN]):
                        conclusion, code = judge(found(*verdicts), targets, fail_on)
                        failed = {"divergent", "reproducible"}.isdisjoint(verdicts)
                        # Nobody knows whether the base has it.
                        undecided = "divergent" in verdicts and "new-divergence" in fail_on
                        is_open = "unverified" in verdicts or failed or undecided
                        expected = (
                            1
                            if "divergent" in verdicts and "divergence" in fail_on
                            else 4
                            if {"build-failed", "rebuild-failed"} & set(verdicts) and "build-failure" in fail_on
                            else 5
                            if is_open and "unverified" in fail_on
                            else 3
                            if targets and "overrun" in fail_on
                            else None
                        )
                        if expected is not None:
                            assert (conclusion, code) == ("fail", expected), (verdicts, fail_on)
                        else:
                            assert (conclusion, code) == (("inconclusive", 5) if is_open else ("pass", 0)), (
                                verdicts,
                                fail_on,
                            )


def test_policies_and_tests_in_the_conclusion() -> None:
    failed, passed = Policy(expression="x", failed=True), Policy(expression="y", failed=False)
    assert judge_policies("pass", 0, [passed], []) == ("pass", 0)
    assert judge_policies("pass", 0, [passed, failed], []) == ("fail", 3)
    assert judge_policies("inconclusive", 5, [failed], []) == ("fail", 3)
    assert judge_policies("fail", 1, [failed], []) == ("fail", 1)
    assert judge_policies("fail", 1, [], ["file:1: …"]) == ("fail", 2)
    assert judge_policies("inconclusive", 130, [failed], ["…"]) == ("inconclusive", 130)
    broken, cached = SuiteRun(command="make", status="failed"), SuiteRun(command="checks", status="cached")
    assert judge(found("reproducible"), (), DEFAULT_FAIL_ON, test=broken) == ("fail", 4)
    assert judge(found("reproducible"), (), ("divergence",), test=broken) == ("pass", 0)
    assert judge(found("reproducible"), (), DEFAULT_FAIL_ON, test=cached) == ("pass", 0)
