"""The forms of the report: every row of the table stands by itself."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from nix_repro.cli.app import cli
from nix_repro.output.directory import Results, read_report
from nix_repro.output.formats import FORMATS, JSON, PAGE, Format
from nix_repro.report import Report

ROOT = Path(__file__).parents[3]
REPORT = msgspec.json.decode((ROOT / "fixtures/reports/diverged.json").read_bytes(), type=Report)


def test_a_report_directory_has_every_form(tmp_path: Path) -> None:
    Results(directory=tmp_path).write(REPORT)
    assert {path.name for path in tmp_path.iterdir()} == {"report.json", "summary.md", "junit.xml", "report.html"}
    assert read_report(tmp_path / "report.json") == REPORT


def test_a_file_gets_the_form_that_was_asked_for(tmp_path: Path) -> None:
    Results({JSON: tmp_path / "a", PAGE: tmp_path / "b"}).write(REPORT)
    assert (tmp_path / "a").read_bytes().startswith(b"{")
    assert (tmp_path / "b").read_bytes().startswith(b"<!DOCTYPE html>")


@pytest.mark.parametrize("form", FORMATS, ids=lambda form: form.file)
def test_a_form_tells_what_diverges(form: Format) -> None:
    assert b"widgets-cli" in form.render(REPORT)


@pytest.mark.parametrize("form", [form for form in FORMATS if form.option], ids=lambda form: form.file)
@pytest.mark.parametrize("command", ["check", "demo", "explain"])
def test_a_form_with_an_option_can_be_asked_for(form: Format, command: str) -> None:
    options = {name: option for option in cli.commands[command].params for name in option.opts}
    assert vars(options[str(form.option)])["help"] == form.help


def test_forms_do_not_overwrite_each_other() -> None:
    assert len({form.file for form in FORMATS}) == len(FORMATS)
