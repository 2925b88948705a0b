"""Policy: what was found and what was asked for → conclusion and exit code. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal, get_args

from nix_repro.errors import BUILD_FAILED, DIVERGENCE, INTERRUPTED, OVERRUN, PASS, UNVERIFIED, USAGE, interrupted
from nix_repro.reasons import UNCHANGED, recall
from nix_repro.report import Conclusion, DerivationReport, Policy, SuiteRun, Target

FailOn = Literal["divergence", "overrun", "build-failure", "unverified"]
FAIL_ON: tuple[str, ...] = get_args(FailOn)
DEFAULT_FAIL_ON: tuple[str, ...] = ("divergence", "overrun", "build-failure")


def settled(derivation: DerivationReport) -> bool:
    """Whether it is unverified for a reason that leaves nothing open, such as a fixed output."""
    return derivation.verdict == "unverified" and recall(derivation.reason).settled


def judge(
    derivations: Sequence[DerivationReport],
    targets: Iterable[Target],
    fail_on: Sequence[str],
    *,
    signum: int | None = None,
    test: SuiteRun | None = None,
) -> tuple[Conclusion, int]:
    """The conclusion and the exit code.

    Precedence: interrupted, divergence, build failure, unverified, overrun. What `fail_on` does not list neither fails
    the run nor changes its exit code, except that open questions are never a pass: they are `inconclusive`, 5.
    A failed test is a build failure.
    """
    verdicts = {derivation.verdict for derivation in derivations}
    open_questions = any(d.verdict == "unverified" and not settled(d) for d in derivations)
    # Nothing at all was compared: that is no evidence either.
    answered = any(d.verdict in ("reproducible", "divergent") or recall(d.reason) == UNCHANGED for d in derivations)
    open_questions = open_questions or not answered
    failures = [
        ("divergence", "divergent" in verdicts, DIVERGENCE),
        (
            "build-failure",
            bool(verdicts & {"build-failed", "rebuild-failed"}) or (test is not None and test.status == "failed"),
            BUILD_FAILED,
        ),
        ("unverified", open_questions, UNVERIFIED),
        ("overrun", any(target.ok is False for target in targets), OVERRUN),
    ]
    codes = [code for name, found, code in failures if found and name in fail_on]
    if signum is not None:
        return ("fail" if codes else "inconclusive"), INTERRUPTED + signum
    if codes:
        return "fail", codes[0]
    return ("inconclusive", UNVERIFIED) if open_questions else ("pass", PASS)


def judge_policies(
    conclusion: Conclusion, exit_code: int, policies: Iterable[Policy], errors: Sequence[str]
) -> tuple[Conclusion, int]:
    """The same with the `fail-when` expressions, which fail the run whatever `fail_on` lists: like an overrun, unless
    something worse was found. One that gave no answer (`errors`) is a mistake in the configuration."""
    if interrupted(exit_code):
        return conclusion, exit_code
    if errors:
        return "fail", USAGE
    if any(policy.failed for policy in policies):
        return "fail", exit_code if conclusion == "fail" else OVERRUN
    return conclusion, exit_code
