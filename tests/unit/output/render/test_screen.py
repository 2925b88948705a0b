"""Terminals and logs of every kind: their width, their characters, and no colour where there shall be none."""

from __future__ import annotations

import io
from collections.abc import Mapping

import msgspec
import pytest

import goldens
import reports
from goldens import Terminal
from nix_repro.doctor.model import note
from nix_repro.output.render.doctor import print_findings
from nix_repro.output.render.plan import print_plan
from nix_repro.output.render.screen import NARROWEST, USUAL, Screen
from nix_repro.output.render.terminal import print_report
from nix_repro.plan.planned import Planned


class Latin(Terminal):
    encoding = "iso-8859-1"


def test_a_log_has_lines_as_long_as_they_are_unless_somebody_says_how_wide_it_is() -> None:
    assert Screen(io.StringIO(), {}).width is None
    assert Screen(io.StringIO(), {"COLUMNS": "80"}).width == 80
    assert Screen(io.StringIO(), {"COLUMNS": "wide"}).width is None
    assert Screen(Terminal(), {"TERM": "xterm"}).width == USUAL
    assert Screen(Terminal(), {"TERM": "xterm", "COLUMNS": "3"}).width == NARROWEST


@pytest.mark.parametrize(
    ("stream", "environ"),
    [
        (io.StringIO(), {"TERM": "xterm"}),
        (Terminal(), {"TERM": "xterm", "NO_COLOR": "1"}),
        (Terminal(), {"TERM": "dumb"}),
    ],
)
def test_no_colour_where_there_shall_be_none(
    stream: io.StringIO, environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", environ["TERM"])
    print_report(reports.everything(), stream, environ=environ)
    assert "\x1b" not in stream.getvalue()


@pytest.mark.parametrize(
    ("stream", "environ"),
    [
        (Latin(), {}),
        (Terminal(), {"LANG": "C"}),
        (Terminal(), {"LC_ALL": "POSIX", "LANG": "de_DE.UTF-8"}),
        (Terminal(), {"LC_CTYPE": "de_DE.ISO-8859-1"}),
    ],
)
def test_a_terminal_without_utf_8_gets_ascii(stream: io.StringIO, environ: Mapping[str, str]) -> None:
    report = reports.bare(goldens.package(1, name="naïve", verdict="divergent", findings=(goldens.CLOCK,)))
    print_report(report, stream, environ={**environ, "NO_COLOR": "1", "COLUMNS": "80"})
    text = stream.getvalue()
    assert text.isascii()
    assert "x  na\\xefve" in text
    assert text.splitlines()[-1] == "x The one derivation in scope diverges"


@pytest.mark.parametrize("environ", [{}, {"LANG": "C.UTF-8"}, {"LANG": "C", "LC_ALL": "en_US.utf8"}])
def test_where_nothing_speaks_against_it_signs_are_signs(environ: Mapping[str, str]) -> None:
    stream = Terminal()
    Screen(stream, environ).say("✗ x")
    assert "✗ x" in stream.getvalue()


def test_a_log_in_no_locale_is_utf_8() -> None:
    stream = io.StringIO()
    Screen(stream, {"LANG": "C"}).say("✗ x")
    assert stream.getvalue() == "✗ x\n"


@pytest.mark.parametrize("columns", [40, 80])
def test_the_doctor_and_the_plan_fit_as_well(
    columns: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stream = Latin()
    found = note("stores", f"the store of {goldens.LONG} cannot be written to by this user", "chown it")
    print_findings([found], stream, {"COLUMNS": str(columns), "NO_COLOR": "1"})
    assert all(len(line) <= columns for line in stream.getvalue().splitlines())
    assert stream.getvalue().startswith("! stores: the store of")
    monkeypatch.setenv("COLUMNS", str(columns))
    one = {"drv_path": "/nix/store/x.drv", "name": goldens.LONG, "attrs": (), "scope_class": "own", "outputs": {}}
    said = {"tool": "t", "system": "s", "nix_version": "2", "nix_implementation": "nix", "scope": "own"}
    derivation = {**one, "reason": None, "first_build": "build", "cache": None}
    print_plan(msgspec.convert({**said, "installables": {}, "derivations": [derivation]}, Planned))
    told = capsys.readouterr().out
    assert "1 would be built:\n  a-package-" in told
    assert all(len(line) <= columns for line in told.splitlines())
