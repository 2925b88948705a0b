"""The outputs of the step that checks."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from nix_repro.output.github.outputs import left_out, outputs
from nix_repro.report import Report

ROOT = Path(__file__).parents[4]


def verified(count: int) -> Report:
    """A report with so many verified paths."""
    report = msgspec.json.decode((ROOT / "fixtures" / "reports" / "clean.json").read_bytes(), type=Report)
    paths = tuple(f"/nix/store/{number:032d}-a-package-of-some-name-1.0" for number in range(count))
    return msgspec.structs.replace(report, verified_paths=paths)


@pytest.mark.parametrize("count", [0, 1, 500, 1300])
def test_verified_paths_are_a_list(count: int) -> None:
    report = verified(count)
    found = outputs(report, report_json=Path("r"), summary_file=Path("s"))["verified-paths"]
    assert json.loads(found) == list(report.verified_paths)
    assert left_out(report) is None


def test_a_list_that_no_program_could_be_given_is_cut_and_says_so() -> None:
    report = verified(5000)
    found = outputs(report, report_json=Path("r"), summary_file=Path("s"))["verified-paths"]
    assert len(found) < 128 * 1024
    assert json.loads(found) == list(report.verified_paths[:1250])
    assert left_out(report) == (
        "output verified-paths: it has room for 1250 of 5000 paths; all are in the report: .verified_paths"
    )
