"""What a report of the base is worth."""

from __future__ import annotations

import pytest

import reports
from nix_repro.report import Variation, Verdict
from nix_repro.stages.base import reported
from nix_repro.verdict.regression import Precedent

APP = reports.derivation("app").drv_path
HELD = (Variation(name="clock", applied=True, reason="x"), Variation(name="cores", applied=False, reason="x"))


@pytest.mark.parametrize(
    ("verdict", "varied", "expected"),
    [
        ("reproducible", (), "reproducible"),
        ("reproducible", ("clock",), "reproducible"),
        ("reproducible", ("clock", "cores"), "unverified"),
        ("divergent", ("clock", "cores"), "divergent"),
        ("build-failed", ("cores",), "build-failed"),
    ],
)
def test_no_difference_under_fewer_variations_says_nothing(
    verdict: Verdict, varied: tuple[str, ...], expected: Verdict
) -> None:
    report = reports.bare(reports.derivation("app", verdict=verdict), reports.derivation("lib"), variations=HELD)
    [(path, found)] = reported(report, [APP], varied)
    assert (path, found.verdict) == (APP, expected)
    assert found.source == "the report of now"


def test_without_a_report_nothing_is_said() -> None:
    assert list(reported(None, [APP], ())) == []


def test_a_reason_is_kept() -> None:
    report = reports.bare(reports.derivation("app", verdict="unverified", reason="timed out"))
    assert list(reported(report, [APP], ())) == [(APP, Precedent("unverified", "timed out", "the report of now"))]
