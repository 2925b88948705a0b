"""Policy: what was found and what was asked for → conclusion and exit code. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from nix_repro.errors import BUILD_FAILED, DIVERGENCE, INTERRUPTED, OVERRUN, PASS, UNVERIFIED, USAGE, interrupted
from nix_repro.parts import RuleUse
from nix_repro.reasons import UNCHANGED, recall
from nix_repro.report import Conclusion, DerivationReport, Policy, SuiteRun, Target
from nix_repro.verdict.policy import FailOn, overrun_fails, stale, standing

#: The first of these that a run fails on decides its exit code.
CODES: dict[FailOn, int] = {
    "divergence": DIVERGENCE,
    "new-divergence": DIVERGENCE,
    "build-failure": BUILD_FAILED,
    "time-bomb": BUILD_FAILED,
    "unverified": UNVERIFIED,
    "overrun": OVERRUN,
    # Nothing diverges because of these: as with `fail-when`, something that was asked for does not hold.
    "expired-rule": OVERRUN,
    "unexpected-pass": OVERRUN,
}


def judge(
    derivations: Sequence[DerivationReport],
    targets: Iterable[Target],
    fail_on: Sequence[str],
    *,
    signum: int | None = None,
    test: SuiteRun | None = None,
    rules: Iterable[RuleUse] = (),
) -> tuple[Conclusion, int]:
    """The conclusion and the exit code.

    Precedence: interrupted, divergence, build failure, unverified, overrun or an allow rule that no longer holds. What
    `fail_on` does not list neither fails the run nor changes its exit code, except that open questions are never a
    pass: they are `inconclusive`, 5. A failed test is a build failure.
    """
    standings = [standing(derivation, fail_on) for derivation in derivations]
    # Nothing at all was compared: that is no evidence either.
    answered = any(d.verdict in ("reproducible", "divergent") or recall(d.reason) == UNCHANGED for d in derivations)
    open_questions = not answered or any(found.meaning == "open" or found.undecided for found in standings)
    words = {found.word for found in standings if found.fails}
    if test is not None and test.status == "failed" and "build-failure" in fail_on:
        words.add("build-failure")
    if open_questions and "unverified" in fail_on:
        words.add("unverified")
    if any(overrun_fails(target, fail_on) for target in targets):
        words.add("overrun")
    words |= {word for rule in rules if (word := stale(rule, fail_on)) is not None}
    codes = [code for word, code in CODES.items() if word in words]
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
