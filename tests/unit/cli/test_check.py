"""A check as the command line and the action run it, with the check itself replaced: what happens around it, and in
which order."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pytest_mock import MockerFixture

import reports
from nix_repro.cli.check import run_check
from nix_repro.config import Config
from nix_repro.errors import UsageError
from nix_repro.output.directory import Results
from nix_repro.report import Report

REPORT = reports.read("clean")


@pytest.fixture
def order(mocker: MockerFixture) -> list[str]:
    """What was done, in order."""
    done: list[str] = []

    def check(*given: Any) -> Report:
        done.append("checked")
        keep = given[-1]
        kept: Report = keep(REPORT, {})
        return kept

    def keep(_self: Results, report: Report, *_: object) -> Report:
        done.append("kept")
        return report

    mocker.patch("nix_repro.check.check", check)
    mocker.patch.object(Results, "keep_trees", keep)
    mocker.patch("nix_repro.output.render.terminal.print_report", side_effect=lambda *_, **__: done.append("printed"))
    return done


def test_what_differs_is_kept_while_it_is_there_and_the_report_written_before_it_is_printed(
    order: list[str],
) -> None:
    def write(_: Report) -> tuple[str, ...]:
        order.append("written")
        return ()

    report = run_check(Config(), {}, Path(), Results(), write=write)
    assert report is REPORT
    assert order == ["checked", "kept", "written", "printed"]


def test_a_report_that_cannot_be_written_is_printed_all_the_same(order: list[str]) -> None:
    def full(_: Report) -> tuple[str, ...]:
        raise UsageError("no space left")

    with pytest.raises(UsageError, match="no space"):
        run_check(Config(), {}, Path(), Results(), write=full)
    assert order == ["checked", "kept", "printed"]


def test_a_reader_who_went_away_changes_nothing(order: list[str], mocker: MockerFixture) -> None:
    mocker.patch("nix_repro.output.render.terminal.print_report", side_effect=SystemExit(1))
    assert run_check(Config(), {}, Path(), Results()) is REPORT
