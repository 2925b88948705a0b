"""The action's entry: inputs from the environment, the check, then what the runner shows of it.

No token comes here: whatever a build, a test or an evaluation can read of this process, it finds none. What needs one
has a step of its own (cli/publish.py). Nothing after the check changes its exit code, which is an output: as the
process's own it would end the step before summary and artifact are there.
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
from nix_repro.nix.checkout import git, has_commit
from nix_repro.nix.credentials import CREDENTIAL
from nix_repro.nix.secrets import cut
from nix_repro.output.formats import JSON, SUMMARY
from nix_repro.output.github import outputs, places, runner
from nix_repro.output.github.api import CommentMode, StatusesMode
from nix_repro.output.github.event import proposal, read_trigger, subject
from nix_repro.report import Report

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nix_repro.config import Config

#: The inputs that are settings of the same name: all there are but for `options` and `history`.
SETTINGS = (
    "installables",
    "scope",
    "rounds",
    "rebuilder",
    "vary",
    "jobs",
    "cores",
    "timeout",
    "retries",
    "fail_on",
    "fail_when",
    "upstream_caches",
    "targets",
    "scenario",
    "test",
    "explain",
    "explain_budget",
    "diffoscope",
    "base",
    "base_report",
    "check_base",
    "fixed_output",
    "since",
    "recheck",
    "recheck_older",
    "sample",
)
#: The check's other inputs, those of the step that reports to GitHub, and those of the second stage.
OWN = (
    "config",
    "config_from",
    "history",
    "ledger",
    "cache",
    "id",
    "nix_options",
    "working_directory",
    "statuses",
    "comment",
)
SEND = ("report", "id", "statuses", "comment", "github_token")
PUBLISH = ("reports", "config", "comment", "github_token")


@dataclass(frozen=True)
class Inputs:
    """The check's inputs, validated. `directory` is where the flake is."""

    config: Config
    directory: Path


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
    """The inputs leave `environ` before anything is started."""
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
            print(cut(traceback.format_exc()), end="")
        runner.fail("an internal error of nix-repro: the log of this step has the details", environ)
        return INTERNAL_ERROR
    report = _with_broken_caches(report, environ)
    _tell(report, inputs, environ, directory)
    return report.exit_code


def _refuse(error: UsageError, environ: Mapping[str, str]) -> None:
    """Where a file is at fault, GitHub shows the error in it: the runner wants its name relative to the checkout, as
    people do."""
    message, location = cut(str(error)), None
    workspace = f"{environ.get('GITHUB_WORKSPACE', '')}/"
    if found := re.match(rf"{re.escape(workspace)}([^:\n]+)(?::([0-9]+))?: ", message):
        file = os.path.normpath(found[1])
        location = None if file.startswith("../") else places.Location(file, int(found[2]) if found[2] else None)
        message = message.removeprefix(workspace)
    runner.fail(message, environ, location)


def given(name: str) -> str:
    """An input as it was given, "" when it was not."""
    # Imported here: it brings requests along, which nothing else needs before the report is there.
    from actions_toolkit.core import get_input

    assert name in {*SETTINGS, *OWN, *SEND, *PUBLISH}, name
    return str(get_input(name))


def choice(name: str, value: str, allowed: Sequence[str]) -> str:
    """The value of an input that is one of a few words, the first when it was not given. Raises `UsageError`."""
    value = value or allowed[0]
    if value not in allowed:
        raise UsageError(f"input {name.replace('_', '-')}: {value!r} is not one of {', '.join(allowed)}")
    return value


def read_inputs(environ: MutableMapping[str, str]) -> Inputs:
    """Inputs from `INPUT_*`, which with all credentials leave `environ` before anything is started. Raises `UsageError`
    that names the input."""
    from nix_repro.cli.keep import outlasting, take_over
    from nix_repro.config import layer
    from nix_repro.config.anchor import anchored
    from nix_repro.config.source import choose, config_from

    values = {name: given(name) for name in (*SETTINGS, *OWN)}
    for name in [name for name in environ if CREDENTIAL.match(name)]:
        del environ[name]
    directory = _directory(environ, values["working_directory"] or ".")
    settings: dict[str, str | None] = {name: values[name] or None for name in SETTINGS}
    if choice("history", values["history"], ("true", "false")) == "true":
        settings["history"] = str(outlasting(environ, "history", values["id"]) / "history.json")
    if choice("ledger", values["ledger"], ("true", "false")) == "true":
        settings["ledger"] = str(take_over(environ, values["id"]))
    if "verified" in re.split(r"[,\s]+", values["cache"]):
        settings["verified_cache"] = str(outlasting(environ, "verified", values["id"]))
    options = layer({"options": values["nix_options"] or None}, "input nix-options")
    inputs = anchored({**layer(settings, "input {}"), **options}, directory)
    named = values["config"]
    if named and proposal(environ) is None and not os.path.isfile(directory / named):
        raise UsageError(f"input config: there is no file {named!r}")
    origin = config_from(values["config_from"] or None, "input config-from")
    chosen = choose(directory, Path(named) if named else None, environ, origin, inputs)
    from_event = layer({"base": _base_here(environ, directory)}, "the change's {}")
    config = chosen.config([inputs], below=[from_event])
    # What a later step goes by is refused here, before anything is built.
    choice("statuses", values["statuses"], get_args(StatusesMode))
    choice("comment", values["comment"], get_args(CommentMode))
    return Inputs(config, directory)


def _directory(environ: Mapping[str, str], named: str) -> Path:
    """Where the flake is. Raises `UsageError` for what is no directory, or a way out of the checkout."""
    workspace = Path(environ.get("GITHUB_WORKSPACE", "."))
    directory = workspace / named
    if not os.path.isdir(directory):
        raise UsageError(f"input working-directory: there is no directory {named!r} in the checkout")
    below = Path(os.path.abspath(directory)).is_relative_to(os.path.abspath(workspace))
    if below and not directory.resolve().is_relative_to(workspace.resolve()):
        raise UsageError(f"input working-directory: {named!r} is a link out of the checkout")
    return directory


def _base_here(environ: Mapping[str, str], directory: Path) -> str | None:
    """The base of the change that is checked out, when the clone has it: nobody asked for the comparison, so its
    absence is worth a notice."""
    about = subject(read_trigger(environ), git(directory, "rev-parse", "HEAD"))
    base = about.base if about is not None else None
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
        about = subject(read_trigger(environ), report.commit)
        default = "true" if about is not None and about.default else "false"
        use = report.verified_cache
        changed = "true" if use is not None and (use.added or use.removed) else "false"
        later = {"report-directory": str(directory), "default-branch": default, "verified-changed": changed}
        outputs.write_outputs(values | later)
        if (said := outputs.left_out(report)) is not None:
            runner.warn(said)
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
        runner.print_annotations(runner.annotate(report, places.locator(places.nix_files(flake), prefix), prefix))


@contextmanager
def _going_on(what: str) -> Iterator[None]:
    """What cannot be told in one place is told in the others all the same: a full disk is no verdict."""
    try:
        yield
    except Exception as error:  # noqa: BLE001  # actions-toolkit raises Exception itself
        runner.warn(f"{what} not written: {error}")
