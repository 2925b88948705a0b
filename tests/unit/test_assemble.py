"""What the report has of a plan."""

from __future__ import annotations

from graphs import plain
from nix_repro.assemble import _skipped
from nix_repro.plan.scope import Plan
from nix_repro.reasons import FIXED_OUTPUT, UPSTREAM
from nix_repro.report import DerivationReport, Verdict, not_evaluated


def entry(name: str, verdict: Verdict, reason: str) -> DerivationReport:
    return DerivationReport(drv_path=f"/s/{name}.drv", name=name, verdict=verdict, reason=reason)


def test_what_failed_stands_among_the_derivations_and_only_there() -> None:
    """A download that fails was counted twice, as a failure and as left out."""
    names = ("bad", "good", "below")
    drvs = {drv.drv_path: drv for drv in (plain(name, fixed=True) for name in names)}
    skipped = dict.fromkeys(drvs, FIXED_OUTPUT) | {"/s/gcc.drv": UPSTREAM, "/s/sed.drv": UPSTREAM}
    found = [
        entry("bad", "build-failed", "hash mismatch"),
        entry("good", "unverified", FIXED_OUTPUT.text),
        entry("below", "unverified", "a dependency failed to build: bad"),
        not_evaluated("packages.x", "x", "evaluation failed"),
    ]
    rows = _skipped(Plan({}, drvs, (), skipped), found)
    assert [(row.reason, row.count, row.examples) for row in rows] == [
        (UPSTREAM.text, 2, ("/s/gcc.drv", "/s/sed.drv")),
        (FIXED_OUTPUT.text, 1, ("/s/good.drv",)),
    ]
