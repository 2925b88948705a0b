"""What needs a token: the step after the check, and the second stage for pull requests from forks. Both start nothing,
so that nobody else's code runs while the token is about."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import get_args

from nix_repro.cli.action import choice, given
from nix_repro.errors import USAGE, UsageError
from nix_repro.output.directory import read_report
from nix_repro.output.formats import JSON
from nix_repro.output.github import runner
from nix_repro.output.github.api import CommentMode, StatusesMode, publish
from nix_repro.output.github.event import destination
from nix_repro.report import Report

#: How action.yml names its artifacts: this and the id.
ARTIFACT = "nix-repro-"
# Bounds for what a stranger's job stored.
#: Legs of a matrix.
_STORED = 50
#: Bytes of a report.
_STORED_BYTES = 50_000_000


def send(environ: Mapping[str, str]) -> int:
    """Set statuses and comment from the report of the step before, whose exit code nothing here changes."""
    try:
        statuses: StatusesMode = choice("statuses", get_args(StatusesMode))  # type: ignore[assignment]
        comment: CommentMode = choice("comment", get_args(CommentMode))  # type: ignore[assignment]
        report = read_report(Path(given("report")))
    except UsageError as error:
        runner.warn(f"nothing was reported to GitHub: {error}")
        return 0
    run_id = given("id") or environ.get("GITHUB_JOB", "job")
    to = destination(environ, token=given("github_token"), run_id=run_id, checked=report.commit)
    for warning in publish(report, to, statuses=statuses, comment=comment) if to is not None else ():
        runner.warn(warning)
    return 0


def publish_stored(environ: Mapping[str, str]) -> int:
    """The second stage for pull requests from forks: comment with the reports of a job that had no permission to.

    The reports were made by somebody else's code: they are read as data, rendered here, and never become a status,
    which could let a change pass. Returns 0 whatever happens to the comment, 2 for bad inputs.
    """
    token = given("github_token")
    try:
        comment: CommentMode = choice("comment", ("failures", "changes", "always"))  # type: ignore[assignment]
        directories = _stored(Path(environ.get("GITHUB_WORKSPACE", ".")) / given("reports"))
    except UsageError as error:
        runner.fail(str(error), environ)
        return USAGE
    for directory in directories:
        to = destination(environ, token=token, run_id=directory.name.removeprefix(ARTIFACT))
        try:
            report = _read_stored(directory)
        except UsageError as error:
            runner.warn(str(error))
            continue
        for warning in publish(report, to, statuses=None, comment=comment) if to is not None else ():
            runner.warn(warning)
    return 0


def _stored(reports: Path) -> list[Path]:
    if not reports.is_dir():
        raise UsageError(f"input reports: there is no directory {reports.name!r}")
    return sorted(path for path in reports.glob(f"{ARTIFACT}*") if path.is_dir() and not path.is_symlink())[:_STORED]


def _read_stored(directory: Path) -> Report:
    file = directory / JSON.file
    if file.is_symlink() or not file.is_file():
        raise UsageError(f"{directory.name}: holds no report")
    return read_report(file, _STORED_BYTES)
