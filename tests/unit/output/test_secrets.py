"""A report that is full of credentials, in every form that a report has."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import msgspec
import pytest

from nix_repro.check import public
from nix_repro.cli import action
from nix_repro.errors import UsageError
from nix_repro.output.formats import FORMATS, Format
from nix_repro.output.github import outputs, runner
from nix_repro.output.render import comment, statuses, terminal
from nix_repro.report import Report
from reports import read

SECRET = "s3cr3tW0rd"
PLANT = f" https://me:{SECRET}@h.example/x?token={SECRET} "
#: Members that hold no words of the tool's own.
FIELDS = ("reason", "log", "because", "fix", "url", "origin", "root_change", "command", "reproduce")
LISTS = ("attrs", "warnings", "incidents", "failed", "ran")


def planted(value: Any, key: str = "") -> Any:
    match value:
        case str():
            return value + PLANT if key in (*FIELDS, *LISTS) else value
        case list() | tuple():
            rows = [planted(item, key) for item in value]
            return [*rows, PLANT] if key in ("warnings", "incidents") else rows
        case dict():
            return {name: planted(item, name) for name, item in value.items()}
        case _:
            return value


REPORT = msgspec.convert(planted(msgspec.to_builtins(read("diverged"))), Report)


def test_they_are_there_to_begin_with() -> None:
    assert msgspec.json.encode(REPORT).decode().count(SECRET) > 20


@pytest.mark.parametrize("form", FORMATS, ids=lambda form: form.file)
def test_no_form_has_them(form: Format) -> None:
    content = form.render(public(REPORT)).decode()
    assert SECRET not in content
    assert "h.example" in content


def test_nor_has_what_github_shows(capsys: pytest.CaptureFixture[str]) -> None:
    report = public(REPORT)
    runner.print_logs(report)
    runner.print_annotations(runner.annotate(report, lambda *_: None))
    said = [*capsys.readouterr(), str(outputs.outputs(report, report_json=Path("a"), summary_file=Path("b")))]
    said += [
        str(statuses.commit_statuses(report, run_id="id", run_url=None)),
        comment.render_comment(report, run_id="id"),
    ]
    assert not [text for text in said if SECRET in text]
    assert "h.example" in said[0]


def test_nor_has_the_terminal() -> None:
    stream = io.StringIO()
    terminal.print_report(public(REPORT), stream)
    assert SECRET not in stream.getvalue()


def test_nor_has_an_error_before_there_is_a_report(capsys: pytest.CaptureFixture[str]) -> None:
    action._refuse(UsageError(f"input rebuilder:{PLANT}is no store"), {})
    said = "".join(capsys.readouterr())
    assert SECRET not in said
    assert "h.example" in said


def test_nothing_else_changes() -> None:
    assert public(read("diverged")) == read("diverged")
