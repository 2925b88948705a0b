"""diffoscope's pages in the report directory: where they are, what is missing of them, and that nothing hangs on
them."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

import reports
from nix_repro.config import layer, load
from nix_repro.errors import UsageError
from nix_repro.observations import Tree
from nix_repro.output import diffoscope
from nix_repro.output.diffoscope import add_deep_diffs
from nix_repro.output.directory import fill_directory
from nix_repro.output.render.html import render_html
from nix_repro.report import DerivationReport, Output, Report


@pytest.fixture
def report() -> Report:
    outputs = {name: Output(path=None, verdict="divergent") for name in ("out", "doc")}
    row = DerivationReport(drv_path="/s/aaaaaaaaaa-x.drv", name="x", verdict="divergent", outputs=outputs)
    return reports.bare(row)


@pytest.fixture
def trees(tmp_path: Path) -> dict[str, Tree]:
    for name in ("a", "b"):
        (tmp_path / name).write_text(name)
    return {f"x/{output}": Tree(tmp_path / "a", tmp_path / "b", 2) for output in ("out", "doc")}


def program(tmp_path: Path, does: str) -> str:
    """A stand-in; $html is the page that it is to write."""
    file = tmp_path / "stand-in"
    file.write_text(f"#!/bin/sh\nhtml=$2\n{does}\n")
    file.chmod(0o755)
    return str(file)


def test_each_output_has_its_page(tmp_path: Path, report: Report, trees: dict[str, Tree]) -> None:
    found = fill_directory(report, trees, tmp_path, program(tmp_path, 'echo "<html>$*" > $html; exit 1'))
    (derivation,) = found.derivations
    assert {name: output.diffoscope for name, output in derivation.outputs.items()} == {
        "out": "diffoscope/x-out.html",
        "doc": "diffoscope/x-doc.html",
    }
    assert (tmp_path / "diffoscope/x-doc.html").is_file()
    assert found.warnings == ()
    assert "diffoscope/x-doc.html" in render_html(found)


@pytest.mark.parametrize(
    ("does", "said"),
    [
        ("sleep 60", "was stopped after"),
        ("exit 2", "ended with status 2 and wrote no report"),
        ("kill -SEGV $$", "ended with status -11"),
        ("head -c 99999999 /dev/zero > $html; exit 1", "was larger than 5 MiB"),
        ("python3 -c 'bytearray(5 << 30)' && echo > $html; exit 1", "ended with status 1 and wrote no report"),
    ],
)
def test_a_page_that_cannot_be_had_is_a_warning(
    tmp_path: Path, report: Report, trees: dict[str, Tree], does: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(diffoscope, "SECONDS", 2)
    found = add_deep_diffs(report, trees, tmp_path, program(tmp_path, does), lambda: False)
    (warning,) = found.warnings
    assert said in warning
    assert msgspec.structs.replace(found, warnings=()) == report
    assert not list((tmp_path / "diffoscope").iterdir())


def test_a_cut_page_is_kept_and_that_is_said(tmp_path: Path, report: Report, trees: dict[str, Tree]) -> None:
    found = add_deep_diffs(report, trees, tmp_path, program(tmp_path, "echo > $html; exit 3"), lambda: False)
    assert found.derivations[0].outputs["out"].diffoscope == "diffoscope/x-out.html"
    assert "x/out: diffoscope did not finish; its report is cut" in found.warnings[0]


def test_what_is_no_program_is_a_warning(tmp_path: Path, report: Report, trees: dict[str, Tree]) -> None:
    (tmp_path / "broken").write_text("#!/no/such/interpreter\n")
    (tmp_path / "broken").chmod(0o755)
    found = add_deep_diffs(report, trees, tmp_path, str(tmp_path / "broken"), lambda: False)
    assert "No such file or directory" in found.warnings[0]


def test_an_interrupted_run_waits_for_none(tmp_path: Path, report: Report, trees: dict[str, Tree]) -> None:
    found = add_deep_diffs(report, trees, tmp_path, program(tmp_path, "echo > $html"), lambda: True)
    assert found.warnings == (
        (
            "diffoscope (for people, no verdict rests on it): x/out: no time was left for it; x/doc: no time was left "
            "for "
            "it"
        ),
    )


def test_none_where_it_is_not_wanted_or_nothing_differs(tmp_path: Path, report: Report, trees: dict[str, Tree]) -> None:
    assert add_deep_diffs(report, trees, tmp_path, "never", lambda: False) is report
    assert add_deep_diffs(report, {}, tmp_path, program(tmp_path, "echo > $html"), lambda: False) is report
    assert not (tmp_path / "diffoscope").exists()


def test_the_setting(tmp_path: Path) -> None:
    assert load([]).diffoscope == "auto"
    for value in ("auto", "never", program(tmp_path, "")):
        assert load([layer({"diffoscope": value}, "--{}")]).diffoscope == value
    for wrong in (str(tmp_path / "nothing"), "", 3):
        with pytest.raises(UsageError, match=r"--diffoscope: .* is not auto, never, or the path of a diffoscope"):
            load([layer({"diffoscope": wrong}, "--{}")])
