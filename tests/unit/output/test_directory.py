"""--keep: both sides of what differs, as plain trees."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from pytest_mock import MockerFixture

import reports
from nix_repro.build.rebuild.copying import copy_tree
from nix_repro.errors import UsageError
from nix_repro.nix.nar import nar_hash
from nix_repro.observations import Tree
from nix_repro.output import archive
from nix_repro.output import directory as directories
from nix_repro.output.directory import Results, fill_directory, keep_trees, read_report
from nix_repro.output.formats import JSON, PAGE
from nix_repro.output.tree_names import named_trees
from nix_repro.report import DerivationReport, Verdict


def differing(tmp_path: Path, *derivations: tuple[str, str, Verdict]) -> dict[str, Tree]:
    """The trees by name of derivations by .drv path, name and verdict; each has one that differs."""
    kept: dict[tuple[str, str], Tree] = {}
    rows = []
    for drv_path, name, verdict in derivations:
        rows.append(DerivationReport(drv_path=drv_path, name=name, verdict=verdict))
        trees = tmp_path / "trees" / Path(drv_path).name
        for side in "ab":
            (trees / side).mkdir(parents=True)
            (trees / side / "file").write_text(side)
        kept[drv_path, "out"] = Tree(trees / "a", trees / "b", round=2)
    return named_trees(reports.bare(*rows), kept)


def test_what_diverges_is_kept_by_name_and_output(tmp_path: Path) -> None:
    found = differing(tmp_path, ("/s/aaaaaaaaaa-x.drv", "x", "divergent"), ("/s/bbbbbbbbbb-y.drv", "y", "reproducible"))
    keep_trees(found, tmp_path / "kept")
    files = sorted(str(p.relative_to(tmp_path / "kept")) for p in (tmp_path / "kept").rglob("*") if p.is_file())
    assert files == ["x/out/a/file", "x/out/b/file"]
    assert (tmp_path / "kept/x/out/b/file").read_text() == "b"


def test_two_of_the_same_name_are_told_apart(tmp_path: Path) -> None:
    found = differing(tmp_path, ("/s/aaaaaaaaaa-x.drv", "x", "divergent"), ("/s/bbbbbbbbbb-x.drv", "x", "divergent"))
    keep_trees(found, tmp_path / "kept")
    assert sorted(os.listdir(tmp_path / "kept")) == ["x-aaaaaaaa", "x-bbbbbbbb"]


def test_nothing_that_is_there_is_overwritten(tmp_path: Path) -> None:
    found = differing(tmp_path, ("/s/aaaaaaaaaa-x.drv", "x", "divergent"))
    assert keep_trees(found, tmp_path / "kept") == []
    before = nar_hash(tmp_path / "kept/x/out/a")
    assert keep_trees(found, tmp_path / "kept") == ["x/out (File exists)"]
    assert nar_hash(tmp_path / "kept/x/out/a") == before


def test_a_report_directory_holds_no_trees_of_an_earlier_run(tmp_path: Path) -> None:
    fill_directory(reports.bare(), differing(tmp_path, ("/s/aaaaaaaaaa-x.drv", "x", "divergent")), tmp_path, "never")
    assert (tmp_path / "trees.tar.gz").is_file()
    fill_directory(reports.bare(), {}, tmp_path, "never")
    assert not (tmp_path / "trees.tar.gz").exists()


def test_a_report_is_read_up_to_its_limit(tmp_path: Path) -> None:
    file = tmp_path / "report.json"
    file.write_bytes(JSON.render(reports.bare()))
    assert read_report(file, file.stat().st_size) == reports.bare()
    with pytest.raises(UsageError, match="too large"):
        read_report(file, file.stat().st_size - 1)


def test_where_nothing_can_be_written(tmp_path: Path) -> None:
    found = differing(tmp_path, ("/s/aaaaaaaaaa-x.drv", "x", "divergent"))
    (tmp_path / "file").touch()
    assert keep_trees(found, tmp_path / "file") == ["x/out (Not a directory)"]
    assert "cannot be written" in fill_directory(reports.bare(), found, tmp_path / "file", "never").warnings[0]
    problems = Results({JSON: tmp_path / "file/x.json", PAGE: tmp_path / "page.html"}).write(reports.bare())
    assert len(problems) == 1
    assert (tmp_path / "page.html").is_file(), "the others are written all the same"


def test_half_a_tree_is_not_kept(tmp_path: Path, mocker: MockerFixture) -> None:
    found = differing(tmp_path, ("/s/aaaaaaaaaa-x.drv", "x", "divergent"))
    copy = mocker.patch.object(directories, "copy_tree", side_effect=[None, OSError(28, "No space left on device")])
    assert keep_trees(found, tmp_path / "kept") == ["x/out (No space left on device)"]
    assert copy.call_count == 2
    assert not (tmp_path / "kept/x/out").exists()


def test_the_machine_s_form_comes_before_what_may_fill_the_disk(tmp_path: Path, mocker: MockerFixture) -> None:
    def full(*_: object) -> None:
        assert (tmp_path / "dir/report.json").is_file()
        raise OSError(28, "No space left on device")

    mocker.patch.object(archive, "write_trees", side_effect=full)
    (tmp_path / "dir").mkdir()
    results = Results(directory=tmp_path / "dir")
    trees = {("/s/aaaaaaaaaa-x.drv", "out"): Tree(tmp_path, tmp_path, 2)}
    divergent = DerivationReport(drv_path="/s/aaaaaaaaaa-x.drv", name="x", verdict="divergent")
    report = results.keep_trees(reports.bare(divergent), trees, "never")
    assert "No space left on device" in report.warnings[0]


def test_a_copy_is_the_same_but_ours(tmp_path: Path) -> None:
    """As the store has it: read-only, with links that lead nowhere, executables and names that are no text."""
    source = tmp_path / "source"
    (source / "bin").mkdir(parents=True)
    (source / "bin/run").write_bytes(b"#!/bin/sh\n")
    (source / "bin/run").chmod(0o555)
    (source / "data").write_bytes(b"\x00")
    (source / "data").chmod(0o444)
    (source / "empty").mkdir()
    (source / "dangling").symlink_to("/nowhere")
    (source / "loop").symlink_to(".")
    hostile = os.fsencode(source) + b"/\xff\n\x1b[31m"
    Path(os.fsdecode(hostile)).write_text("x")
    for directory in (source / "bin", source / "empty", source):
        directory.chmod(0o555)
    copy_tree(source, tmp_path / "deep/er/copy")
    copy = tmp_path / "deep/er/copy"
    assert sorted(os.listdir(os.fsencode(copy))) == sorted(os.listdir(os.fsencode(source)))
    assert os.readlink(copy / "dangling") == "/nowhere"
    assert os.readlink(copy / "loop") == "."
    assert (copy / "bin/run").stat().st_mode & 0o777 == 0o755
    assert (copy / "data").stat().st_mode & 0o777 == 0o644
    assert (copy / "empty").stat().st_mode & 0o700 == 0o700


def test_a_single_file_and_a_link_are_trees_too(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "link").symlink_to("file")
    copy_tree(tmp_path / "file", tmp_path / "copied-file")
    copy_tree(tmp_path / "link", tmp_path / "copied-link")
    assert (tmp_path / "copied-file").read_text() == "x"
    assert os.readlink(tmp_path / "copied-link") == "file"


def test_what_was_written_is_named_from_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "here/out").mkdir()
    (tmp_path / "here/out/report.json").touch()
    monkeypatch.chdir(tmp_path / "here")
    results = Results({JSON: tmp_path / "elsewhere.json"}, tmp_path / "here/out")
    assert results.written() == [f"{tmp_path}/elsewhere.json", "out/ (report.json)"]


def test_what_was_written_is_named_and_what_could_not_be_is_not(tmp_path: Path) -> None:
    page, stream = tmp_path / "page.html", Path("/dev/stdout")
    results = Results({PAGE: page, JSON: tmp_path / "no.json"}, tmp_path / "report", tmp_path / "keep")
    results.prepare()
    problems = results.write(reports.read("clean"))
    assert problems == []
    named = results.written([f"{tmp_path / 'no.json'}: cannot be written: No space left on device"])
    assert named == [str(page), f"{tmp_path}/report/ (junit.xml, report.html, report.json, summary.md)"]
    assert Results({PAGE: stream}).written() == [], "who reads a stream knows"
    assert Results().written() == []
