"""The action's entry: inputs from the environment, the check, then everything that GitHub shows.

The order matters: the report and the outputs first, what needs a network last. Nothing after the check changes its
exit code, which is an output: as the process's own it would end the step before summary and artifact are there.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
import traceback
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import msgspec

from nix_repro.errors import INTERNAL_ERROR, INTERRUPTED, USAGE, Interrupted, UsageError
from nix_repro.nix.caches.kinds import CACHE_STEPS
from nix_repro.nix.checkout import has_commit
from nix_repro.output.formats import JSON, SUMMARY
from nix_repro.output.github import outputs, runner
from nix_repro.output.github.api import CommentMode, StatusesMode, publish
from nix_repro.output.github.event import destination, pull_request_base
from nix_repro.report import Report

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nix_repro.config import Config

#: How action.yml names its artifacts: this and the id.
ARTIFACT = "nix-repro-"
#: The action's inputs that are settings of the same name, its other inputs, and those of the second stage.
SETTINGS = (
    "installables",
    "scope",
    "rounds",
    "rebuilder",
    "fail_on",
    "targets",
    "scenario",
    "test",
    "fail_when",
    "base",
    "since",
)
OWN = ("config", "history", "nix_options", "working_directory", "github_token", "statuses", "comment", "id")
PUBLISH = ("reports", "comment", "github_token")
# Bounds for what a stranger's job stored.
#: Legs of a matrix.
_STORED = 50
#: Bytes of a report.
_STORED_BYTES = 50_000_000


@dataclass(frozen=True)
class Inputs:
    """The action's inputs, validated. `directory` is where the flake is, `id` tells the legs of a matrix apart."""

    config: Config
    directory: Path
    id: str
    token: str
    statuses: StatusesMode
    comment: CommentMode


def run(environ: MutableMapping[str, str]) -> int:
    """The whole action. Returns what the process is to end with: 0 once the run's exit code is an output, else that
    code."""
    code = _run(environ)
    try:
        return 0 if outputs.write_outputs({"exit-code": str(code)}) else code
    except Exception as error:  # noqa: BLE001  # actions-toolkit raises Exception itself
        runner.warn(f"the exit code is no output, but the step's own: {error}")
        return code


def _run(environ: MutableMapping[str, str]) -> int:
    """The token leaves `environ` before anything is built."""
    try:
        inputs = read_inputs(environ)
        directory = Path(tempfile.mkdtemp(prefix="nix-repro-", dir=environ.get("RUNNER_TEMP") or None))
        report = _check(inputs, environ, directory)
    except UsageError as error:
        _refuse(error, environ)
        return USAGE
    except Interrupted as stop:
        return INTERRUPTED + stop.signum
    except Exception:  # noqa: BLE001  # whatever it is, the job's log gets it and no verdict is made up
        with runner.commands_stopped():
            traceback.print_exc(file=sys.stdout)
        runner.fail("an internal error of nix-repro: the log of this step has the details", environ)
        return INTERNAL_ERROR
    report = _with_broken_caches(report, environ)
    _tell(report, inputs, environ, directory)
    return report.exit_code


def _refuse(error: UsageError, environ: Mapping[str, str]) -> None:
    """Where a file is at fault, GitHub shows the error in it: the runner wants its name relative to the checkout, as
    people do."""
    message, location = str(error), None
    workspace = f"{environ.get('GITHUB_WORKSPACE', '')}/"
    if found := re.match(rf"{re.escape(workspace)}([^:\n]+)(?::([0-9]+))?: ", message):
        file = os.path.normpath(found[1])
        location = None if file.startswith("../") else runner.Location(file, int(found[2]) if found[2] else None)
        message = message.removeprefix(workspace)
    runner.fail(message, environ, location)


def _input(name: str) -> str:
    # Imported here: it brings requests along, which nothing else needs before the report is there.
    from actions_toolkit.core import get_input

    assert name in {*SETTINGS, *OWN, *PUBLISH}, name
    return str(get_input(name))


def _choice(name: str, allowed: Sequence[str]) -> str:
    value = _input(name) or allowed[0]
    if value not in allowed:
        raise UsageError(f"input {name.replace('_', '-')}: {value!r} is not one of {', '.join(allowed)}")
    return value


def read_inputs(environ: MutableMapping[str, str]) -> Inputs:
    """Inputs from `INPUT_*`. Raises `UsageError` that names the input."""
    from nix_repro.config import FILE_NAME, layer, load, read_file

    token = _input("github_token")
    environ.pop("INPUT_GITHUB_TOKEN", None)
    directory = Path(environ.get("GITHUB_WORKSPACE", ".")) / (_input("working_directory") or ".")
    if not directory.is_dir():
        raise UsageError(
            f"input working-directory: there is no directory {_input('working_directory')!r} in the checkout"
        )
    given: dict[str, str | None] = {}
    for name in SETTINGS:
        given[name] = _input(name) or None
    if _choice("history", ("true", "false")) == "true":
        # Where action.yml's steps restore it from the cache and save it.
        given["history"] = str(
            Path(environ.get("RUNNER_TEMP") or tempfile.gettempdir(), "nix-repro-history", "history.json")
        )
    named = _input("config")
    file = directory / (named or FILE_NAME)
    if named and not file.is_file():
        raise UsageError(f"input config: there is no file {named!r}")
    options = layer({"options": _input("nix_options") or None}, "input nix-options")
    from_event = layer({"base": _base_here(environ, directory)}, "the pull request's {}")
    config = load([from_event, read_file(file) if file.is_file() else {}, layer(given, "input {}"), options])
    statuses: StatusesMode = _choice("statuses", get_args(StatusesMode))  # type: ignore[assignment]
    comment: CommentMode = _choice("comment", get_args(CommentMode))  # type: ignore[assignment]
    return Inputs(config, directory, _input("id") or environ.get("GITHUB_JOB", "job"), token, statuses, comment)


def _base_here(environ: Mapping[str, str], directory: Path) -> str | None:
    """A pull request's base, when the checkout has it: nobody asked for the comparison, so its absence is worth a
    notice."""
    base = pull_request_base(environ)
    if base is None or has_commit(directory, base):
        return base
    runner.notice(
        "what this change rebuilt, and why, can be told when the checkout has its base: actions/checkout with "
        "`fetch-depth: 0`"
    )
    return None


def _check(inputs: Inputs, environ: MutableMapping[str, str], directory: Path) -> Report:
    from nix_repro.cli.check import run_check
    from nix_repro.output.directory import Results

    # rich: a job's log is no terminal, whatever the runner made it look like.
    environ["TTY_COMPATIBLE"] = "0"
    # Names and messages in this output are the flake's. It all goes to one stream, so that the order holds.
    with runner.commands_stopped():
        return run_check(inputs.config, environ, inputs.directory, Results(directory=directory), stream=sys.stdout)


def _with_broken_caches(report: Report, environ: Mapping[str, str]) -> Report:
    """The report with the caches that action.yml's steps could not switch on."""
    outcomes = dict(part.partition("=")[::2] for part in environ.get(CACHE_STEPS, "").split())
    broken = tuple(
        f"the cache {name} could not be switched on: its own step's log says why. The job went on without it"
        for name, outcome in outcomes.items()
        if outcome == "failure"
    )
    caches = msgspec.structs.replace(report.caches, incidents=broken + report.caches.incidents)
    return msgspec.structs.replace(report, caches=caches)


def _tell(report: Report, inputs: Inputs, environ: Mapping[str, str], directory: Path) -> None:
    from nix_repro.output.directory import Results

    summary = directory / SUMMARY.file
    values = outputs.outputs(report, report_json=directory / JSON.file, summary_file=summary)
    with _going_on("outputs"):
        outputs.write_outputs(values | {"report-directory": str(directory)})
    with _going_on("report"):
        for problem in Results(directory=directory).write(report):
            runner.warn(problem)
    with _going_on("step summary"):
        runner.write_summary(summary.read_text("utf-8"), environ)
    with _going_on("logs and annotations"):
        runner.print_logs(report)
        workspace = Path(environ.get("GITHUB_WORKSPACE") or ".").resolve()
        flake = inputs.directory.resolve()
        prefix = f"{flake.relative_to(workspace)}/" if flake != workspace and flake.is_relative_to(workspace) else ""
        runner.print_annotations(runner.annotate(report, runner.locator(runner.nix_files(flake), prefix)))
    to = destination(environ, token=inputs.token, run_id=inputs.id, checked=report.commit)
    if to is not None:
        for warning in publish(report, to, statuses=inputs.statuses, comment=inputs.comment):
            runner.warn(warning)


@contextmanager
def _going_on(what: str) -> Iterator[None]:
    """What cannot be told in one place is told in the others all the same: a full disk is no verdict."""
    try:
        yield
    except Exception as error:  # noqa: BLE001  # actions-toolkit raises Exception itself
        runner.warn(f"{what} not written: {error}")


def publish_stored(environ: MutableMapping[str, str]) -> int:
    """The second stage for pull requests from forks: comment with the reports of a job that had no permission to.

    The reports were made by somebody else's code: they are read as data, rendered here, and never become a status,
    which could let a change pass. Returns 0 whatever happens to the comment, 2 for bad inputs.
    """
    token = _input("github_token")
    environ.pop("INPUT_GITHUB_TOKEN", None)
    try:
        comment: CommentMode = _choice("comment", ("failures", "changes", "always"))  # type: ignore[assignment]
        directories = _stored(Path(environ.get("GITHUB_WORKSPACE", ".")) / _input("reports"))
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
    from nix_repro.output.directory import read_report

    file = directory / JSON.file
    if file.is_symlink() or not file.is_file():
        raise UsageError(f"{directory.name}: holds no report")
    return read_report(file, _STORED_BYTES)
