"""Where the command line puts a run's results. The report directory and its contents are described in docs/explaining.md."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nix_repro.errors import UsageError

if TYPE_CHECKING:
    from nix_repro.observe import Tree
    from nix_repro.report import Report


@dataclass(frozen=True)
class Results:
    """The places that were asked for, None where none was. `json` and `html` are files, `directory` gets the report in every
    form, and `keep` both sides of what differs."""

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

    def keep_trees(self, report: Report, trees: Mapping[str, Tree], diffoscope: str, stopped: Callable[[], bool] = lambda: False) -> Report:
        """Keep both sides of what differs (`trees` by name) while they are there. Returns the report, with what it has to say about
        them. `stopped` ends the comparison by diffoscope. Raises `UsageError` for what cannot be written."""
        from nix_repro.keeping import fill_directory, keep_trees

        if self.keep is not None:
            keep_trees(trees, self.keep)
        return report if self.directory is None else fill_directory(report, trees, self.directory, diffoscope, stopped)

    def write(self, report: Report) -> None:
        """Write the report. Raises `UsageError` for what cannot be written."""
        from nix_repro.keeping import write_page, write_renderings, write_report

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
