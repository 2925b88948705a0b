"""What of a run is kept: both sides of what differs, and the report directory."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from nix_repro.build.rebuild.copying import copy_tree
from nix_repro.errors import UsageError
from nix_repro.files import write_whole
from nix_repro.observations import Tree
from nix_repro.output import archive
from nix_repro.output.diffoscope import add_deep_diffs
from nix_repro.report import Report
from nix_repro.text import some

if TYPE_CHECKING:
    from nix_repro.observations import Tree
    from nix_repro.report import Report

REPORT = "report.json"
#: Bytes of the largest report that is read back.
LIMIT = 256 << 20


def keep_trees(trees: Mapping[str, Tree], directory: Path) -> None:
    """`DIR/NAME/OUTPUT/{a,b}`: a is the build, b the rebuild. Raises `UsageError` when that cannot be written."""
    try:
        for name, tree in trees.items():
            for side, source in (("a", tree.a), ("b", tree.b)):
                to = directory / name / side
                if to.exists() or to.is_symlink():
                    raise UsageError(f"--keep: {to} is already there")
                copy_tree(source, to)
    except OSError as error:
        raise UsageError(f"--keep: {error.filename}: {error.strerror}") from None


def write_report(report: Report, file: Path) -> None:
    """The report as JSON (docs/report.md). Raises `UsageError` when the file cannot be written."""
    write_whole(file, msgspec.json.format(msgspec.json.encode(report), indent=1) + b"\n")


def write_page(report: Report, file: Path) -> None:
    """The report as one HTML file. Raises `UsageError` when it cannot be written."""
    from nix_repro.output.render.html import render_html

    write_whole(file, render_html(report).encode())


def read_report(file: Path, limit: int = LIMIT) -> Report:
    """A report that was written before. Raises `UsageError` when it is none, or has more than `limit` bytes."""
    try:
        if file.stat().st_size > limit:
            raise UsageError(f"{file}: too large for a report")
        return msgspec.json.decode(file.read_bytes(), type=Report)
    except OSError as error:
        raise UsageError(f"{file}: {error.strerror}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UsageError(f"{file}: not a report: {error}") from None


def write_trees(report: Report, trees: Mapping[str, Tree], directory: Path) -> Report:
    """Pack the differing trees into the report directory; the report says which ones were too large for it."""
    file = directory / archive.NAME
    if not trees:
        # What an earlier run left in this directory would be explained as this one's.
        file.unlink(missing_ok=True)
        return report
    left_out = archive.write_trees(file, trees)
    if not left_out:
        return report
    reasons = [f"{name} ({reason})" for name, reason in left_out.items()]
    warning = f"not in {archive.NAME}, which takes {archive.LIMIT >> 20} MiB: {some(reasons, 5)}"
    return msgspec.structs.replace(report, warnings=(*report.warnings, warning))


def fill_directory(
    report: Report,
    trees: Mapping[str, Tree],
    directory: Path,
    diffoscope: str,
    stopped: Callable[[], bool] = lambda: False,
) -> Report:
    """What the report directory has besides the report, which says what is missing of it: the differing trees, and
    diffoscope's pages about them. `stopped` ends the latter. Raises `UsageError` when it cannot be written."""
    try:
        report = write_trees(report, trees, directory)
        return add_deep_diffs(report, trees, directory, diffoscope, stopped)
    except OSError as error:
        raise UsageError(f"{directory}: cannot be written: {error.strerror}") from None


def write_renderings(report: Report, directory: Path) -> None:
    """The report in every form that stands by itself."""
    from nix_repro.output.render.junit import render_junit
    from nix_repro.output.render.summary import render_summary

    write_report(report, directory / REPORT)
    write_whole(directory / "summary.md", render_summary(report).encode())
    write_whole(directory / "junit.xml", render_junit(report).encode())
    write_page(report, directory / "report.html")


@dataclass(frozen=True)
class Results:
    """The places that were asked for, None where none was. `json` and `html` are files, `directory` gets the report in
    every form, and `keep` both sides of what differs."""

    json: Path | None = None
    html: Path | None = None
    directory: Path | None = None
    keep: Path | None = None

    def prepare(self) -> None:
        """Make the directories. Raises `UsageError` for what cannot be written: before the work, not after it."""
        from nix_repro.files import is_stream

        wanted = {"--report-dir": self.directory, "--keep": self.keep}
        for option, file in (("--report-json", self.json), ("--html", self.html)):
            if file is None or is_stream(file):
                continue
            if file.is_dir():
                raise UsageError(f"{option}: {file} is a directory")
            wanted[option] = file.parent
        for option, directory in wanted.items():
            if directory is not None:
                _make(option, directory)
        if self.keep is not None and any(self.keep.iterdir()):
            raise UsageError(f"--keep: {self.keep} is not empty")

    def keep_trees(
        self, report: Report, trees: Mapping[str, Tree], diffoscope: str, stopped: Callable[[], bool] = lambda: False
    ) -> Report:
        """Keep both sides of what differs (`trees` by name) while they are there. Returns the report, with what it
        has to say about them. `stopped` ends the comparison by diffoscope. Raises `UsageError` for what cannot be
        written."""
        from nix_repro.output.directory import fill_directory, keep_trees

        if self.keep is not None:
            keep_trees(trees, self.keep)
        return report if self.directory is None else fill_directory(report, trees, self.directory, diffoscope, stopped)

    def write(self, report: Report) -> None:
        """Write the report. Raises `UsageError` for what cannot be written."""
        from nix_repro.output.directory import write_page, write_renderings, write_report

        if self.json is not None:
            write_report(report, self.json)
        if self.html is not None:
            write_page(report, self.html)
        if self.directory is not None:
            write_renderings(report, self.directory)


def _make(option: str, directory: Path) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{option}: {directory}: {error.strerror}") from None
    if not os.access(directory, os.W_OK):
        raise UsageError(f"{option}: {directory} cannot be written")
