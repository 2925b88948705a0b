"""What needs a token: the step after the check, and the second stage for pull requests from forks. Both start nothing,
so that nobody else's code runs while the token is about."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import get_args

from nix_repro.cli.action import choice, given
from nix_repro.config import load, read_settings
from nix_repro.config.document import BYTES
from nix_repro.errors import USAGE, UsageError
from nix_repro.files import read_regular
from nix_repro.nix.checkout import CONFIGURATION_FILE
from nix_repro.output.directory import read_report
from nix_repro.output.formats import JSON
from nix_repro.output.github import runner
from nix_repro.output.github.api import CommentMode, StatusesMode, publish
from nix_repro.output.github.event import destination, named, proposed, read_trigger, subject
from nix_repro.output.github.stored import borne_out
from nix_repro.report import Conclusion, Report
from nix_repro.verdict.allow import AllowRule

#: Comments on one pull request, whatever number of reports was stored, and how often.
COMMENTS = 5
_FAILURES_FIRST: tuple[Conclusion, ...] = ("fail", "inconclusive", "pass")
_NOTE = (
    "From a report that a job of this change has stored. The change's own code ran there, so that the hashes are its "
    "word; the verdicts were made from them here."
)
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
        statuses: StatusesMode = choice("statuses", given("statuses"), get_args(StatusesMode))  # type: ignore[assignment]
        comment: CommentMode = choice("comment", given("comment"), get_args(CommentMode))  # type: ignore[assignment]
        report = read_report(Path(given("report")))
    except UsageError as error:
        runner.warn(f"nothing was reported to GitHub: {error}")
        return 0
    event = read_trigger(environ)
    about = subject(event, report.commit)
    if about is None:
        runner.warn(
            "nothing was reported to GitHub: which commit was checked is not known, because the flake is in no Git "
            f"checkout, and {event.name} alone does not say"
        )
        return 0
    run_id = named(given("id") or environ.get("GITHUB_JOB", "job"), event)
    to = destination(environ, about, token=given("github_token"), run_id=run_id)
    for warning in publish(report, to, statuses=statuses, comment=comment) if to is not None else ():
        runner.warn(warning)
    return 0


def publish_stored(environ: Mapping[str, str]) -> int:
    """The second stage for pull requests from forks: comment with the reports of a job that had no permission to.

    The reports were made by somebody else's code: they are read as data, judged again and rendered here, and never
    become a status, which could let a change pass. Returns 0 whatever happens to the comment, 2 for bad inputs.
    """
    token = given("github_token")
    try:
        comment: CommentMode = choice("comment", given("comment"), ("failures", "changes", "always"))  # type: ignore[assignment]
        stored = _stored(Path(environ.get("GITHUB_WORKSPACE", ".")) / given("reports"))
    except UsageError as error:
        runner.fail(str(error), environ)
        return USAGE
    allowed = _allowed(environ)
    read = {path: conclusion for path in stored[:_STORED] if (conclusion := _conclusion(path, allowed)) is not None}
    # What failed must not be hidden behind what passed.
    chosen = sorted(read, key=lambda path: (_FAILURES_FIRST.index(read[path]), path.name))
    note, left_out = _NOTE, len(chosen[COMMENTS:]) + len(stored[_STORED:])
    if left_out:
        more = f"{left_out} more reports were stored; {COMMENTS} get a comment"
        runner.warn(more)
        note = f"{_NOTE} {more}."
    for directory in chosen[:COMMENTS]:
        about = proposed(read_trigger(environ))
        to = destination(environ, about, token=token, run_id=_id(directory))
        if to is None:
            break
        report = allowed.borne_out(directory, about.sha)
        said = f"{note} {allowed.missing}" if any(d.verdict == "divergent" for d in report.derivations) else note
        for warning in publish(report, to, statuses=None, comment=comment, note=said.strip(), most=COMMENTS):
            runner.warn(warning)
    return 0


@dataclass(frozen=True)
class _Allowed:
    """The allow rules that count on the day `today`, or a sentence about why there are none."""

    today: date
    rules: tuple[AllowRule, ...] = ()
    missing: str = ""

    def borne_out(self, directory: Path, commit: str) -> Report:
        """What the report shows that is stored there. Raises `UsageError`."""
        return borne_out(_read_stored(directory), commit, self.rules, self.today)


def _allowed(environ: Mapping[str, str]) -> _Allowed:
    """The rules of the default branch, if that is checked out here. On any other event than `workflow_run` it may be
    the change that is."""
    workspace, today = Path(environ.get("GITHUB_WORKSPACE", ".")), datetime.now(UTC).date()
    if read_trigger(environ).name != "workflow_run" or not (workspace / ".git").exists():
        return _Allowed(today, missing="Allow rules do not count here: the default branch is not checked out.")
    name = given("config") or CONFIGURATION_FILE
    try:
        if not os.path.lexists(workspace / name):
            return _Allowed(today)
        content = read_regular(workspace / name, BYTES, inside=workspace)
        return _Allowed(today, load([read_settings(content, name)]).allow)
    except UsageError as error:
        runner.warn(f"allow rules do not count: {error}")
        return _Allowed(today, missing=f"Allow rules do not count here: {name} cannot be read.")


def _conclusion(directory: Path, allowed: _Allowed) -> Conclusion | None:
    try:
        return allowed.borne_out(directory, "").conclusion
    except UsageError as error:
        runner.warn(str(error))
        return None


def _id(directory: Path) -> str:
    """The id behind an artifact's name, made of what action.yml makes it of."""
    return re.sub(r"[^A-Za-z0-9._-]", "-", directory.name.removeprefix(ARTIFACT))[:100]


def _stored(reports: Path) -> list[Path]:
    if not reports.is_dir():
        raise UsageError(f"input reports: there is no directory {reports.name!r}")
    return sorted(path for path in reports.glob(f"{ARTIFACT}*") if path.is_dir() and not path.is_symlink())


def _read_stored(directory: Path) -> Report:
    file = directory / JSON.file
    if file.is_symlink() or not file.is_file():
        raise UsageError(f"{ARTIFACT}{_id(directory)}: holds no report")
    try:
        return read_report(file, _STORED_BYTES)
    except UsageError:
        # What is wrong with it would be said in its own words.
        raise UsageError(f"{ARTIFACT}{_id(directory)}: holds no report that can be read") from None
