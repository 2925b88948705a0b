"""The command line: parse, run, render, exit code. Heavy modules are imported when they are needed, to keep `--help`
fast."""

from __future__ import annotations

import functools
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nix_repro import __version__
from nix_repro.errors import DIVERGENCE, INTERNAL_ERROR, INTERRUPTED, USAGE, Interrupted, UsageError
from nix_repro.output.directory import Results

if TYPE_CHECKING:
    from nix_repro.check import Outcome
    from nix_repro.config import Config
    from nix_repro.report import Report

#: The settings that mean something where nothing is built.
_EXPLAINS_AGAIN = ("config_file", "diffoscope")
_CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 120}


def main() -> None:
    """The `nix-repro` command. What the user can correct ends with one message and exit code 2."""
    try:
        sys.exit(cli.main(prog_name="nix-repro", standalone_mode=False))
    except click.exceptions.Exit as stop:
        sys.exit(stop.exit_code)
    except click.Abort:
        sys.exit(INTERRUPTED + signal.SIGINT)
    except click.ClickException as error:
        error.show()
        sys.exit(USAGE)
    except UsageError as error:
        from nix_repro.output.render.escape import terminal

        # The message may quote Nix, and Nix may quote the flake.
        print(f"nix-repro: {terminal(str(error))}", file=sys.stderr)
        sys.exit(USAGE)
    except Interrupted as stop:
        sys.exit(INTERRUPTED + stop.signum)
    except Exception:  # noqa: BLE001  # Python's own exit code for this means divergence here
        import traceback

        traceback.print_exc()
        print("nix-repro: an internal error, which says nothing about the builds", file=sys.stderr)
        sys.exit(INTERNAL_ERROR)


@click.group(context_settings=_CONTEXT)
@click.version_option(__version__, prog_name="nix-repro")
def cli() -> None:
    """Are these Nix builds bit-for-bit reproducible, and if not, why?

    Exit codes: 0 no difference found, 1 divergence, 2 usage or configuration error, 3 target missed, 4 a build failed,
    5 something could not be verified, 70 internal error, 130/143 interrupted (the report is still written).
    """


def _settings(command: Any) -> Any:
    """The options that `check`, `plan` and `demo` share: one per configuration key."""
    for option in reversed(
        (
            click.option(
                "--config",
                "config_file",
                type=click.Path(path_type=Path),
                help="Configuration file [default: .nix-repro.yml]",
            ),
            click.option(
                "--scope",
                help="What to compare: installables | own (default: also inputs that no upstream cache has) | closure",
            ),
            click.option(
                "--rounds", help="How often to build in total [default: 2]; more rounds find intermittent differences"
            ),
            click.option("--rebuilder", help="auto (default) | shadow | replace | nix-check | a store URL"),
            click.option("--jobs", help="How many builds run at once (Nix's max-jobs)"),
            click.option("--cores", help="Cores for one build (NIX_BUILD_CORES)"),
            click.option("--timeout", help="Time limit for one build, such as 90s or 7m"),
            click.option(
                "--option",
                "options",
                nargs=2,
                multiple=True,
                metavar="NAME VALUE",
                help="A Nix setting; may be repeated",
            ),
            click.option(
                "--explain",
                help="off | rules (default) | experiments (prove causes) | variations (also on what is the same)",
            ),
            click.option("--explain-budget", help="Time for all experiments [default: 10m]"),
            click.option(
                "--fail-on",
                help=(
                    "What fails the run: divergence, overrun, build-failure (default: these three), unverified; or none"
                ),
            ),
            click.option(
                "--target",
                "targets",
                multiple=True,
                metavar="NAME=LIMIT",
                help="A limit, such as build=7m, total=90s or hit-rate=95%; may be repeated",
            ),
            click.option("--scenario", help="Which default targets apply: auto | cold | warm | first-time | cached"),
            click.option(
                "--fail-when", multiple=True, metavar="JQ", help="Fail when this jq expression over the report is true"
            ),
            click.option(
                "--base",
                metavar="REF",
                help="Git revision to compare with, to tell why something was built and what a cache should have had",
            ),
            click.option(
                "--base-report", metavar="FILE", help="JSON report of an earlier run to compare with, instead of --base"
            ),
            click.option("--since", metavar="REF", help="Check only derivations that differ from this Git revision"),
            click.option(
                "--test", help="What to run after the build: checks (of the flake) | none (default) | a command"
            ),
            click.option(
                "--history", metavar="FILE", help="Compare with the runs in this file, and add this run to it"
            ),
            click.option(
                "--diffoscope", metavar="PROGRAM", help="auto (default: if it is installed) | never | its path"
            ),
            click.option(
                "--upstream-caches",
                help="Caches whose contents are not the repository's own; or none [default: https://cache.nixos.org]",
            ),
        )
    ):
        command = option(command)
    return command


def _results(command: Any) -> Any:
    """The options that say where results go, for a command that takes them together as `results`."""

    @functools.wraps(command)
    def collected(
        *, report_json: Path | None, html: Path | None, report_dir: Path | None, keep: Path | None, **others: Any
    ) -> None:
        command(results=Results(json=report_json, html=html, directory=report_dir, keep=keep), **others)

    with_options: Any = collected
    for name, help_text in (
        ("--keep", "Keep both sides of what differs in DIR/NAME/OUTPUT/{a,b}"),
        ("--report-dir", "Write the report in every form, and what differs, to this directory"),
        ("--report-json", "Write the report to this file as JSON (docs/report.md)"),
        ("--html", "Write the report to this file as a self-contained page"),
    ):
        with_options = click.option(name, type=click.Path(path_type=Path), help=help_text)(with_options)
    return with_options


@cli.command()
@click.argument("installables", nargs=-1)
@_settings
@_results
def check(installables: tuple[str, ...], results: Results, **flags: Any) -> None:
    """Build, build again, and compare every output.

    INSTALLABLES are flake attributes (.#default), .drv files, or `all`: every package and check for this system.
    """
    sys.exit(_check(_config(installables, flags), Path.cwd(), results))


@cli.command()
@click.argument("installables", nargs=-1)
@_settings
def plan(installables: tuple[str, ...], **flags: Any) -> None:
    """Show what `check` would do, without building."""
    from nix_repro.check import plan_only
    from nix_repro.nix.processes import Processes
    from nix_repro.output.render.plan import print_plan
    from nix_repro.output.render.progress import Progress

    processes = Processes()
    with processes.handling_signals():
        with Progress() as display:
            made, present, where = plan_only(_config(installables, flags), processes, os.environ, Path.cwd(), display)
        print_plan(made, present, where)


@cli.command()
@click.argument("installables", nargs=-1)
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON")
def doctor(installables: tuple[str, ...], as_json: bool) -> None:
    """Look for problems with Nix, caches, checkout and machine.

    Changes nothing. The exit code is 1 if there are problems.
    """
    from nix_repro.doctor import diagnose
    from nix_repro.nix.command import Nix
    from nix_repro.nix.processes import Processes
    from nix_repro.output.render.doctor import print_findings

    processes = Processes()
    with processes.handling_signals():
        findings = diagnose(Nix(processes, os.environ), os.environ, Path.cwd(), installables or (".#default",))
    if as_json:
        import msgspec

        click.echo(msgspec.json.format(msgspec.json.encode({"version": 1, "findings": findings}), indent=1).decode())
    else:
        print_findings(findings)
    sys.exit(any(finding.state == "problem" for finding in findings))


@cli.command()
@_settings
@_results
def demo(results: Results, **flags: Any) -> None:
    """Check a small flake in which one package diverges."""
    package = Path(__file__).parents[1]
    directory = next(d for d in (package / "demo", package.parents[1] / "fixtures" / "demo") if d.is_dir())
    click.echo("nix-repro: checking a flake of several packages, one of which diverges on purpose", err=True)
    # No cache has anything of it, so none needs to be asked.
    given = {**flags, "config_file": None, "scope": flags["scope"] or "closure"}
    code = _check(_config((f"path:{directory}#all",), given, defaults=False), directory, results)
    if code == DIVERGENCE:
        click.echo(
            (
                "\nnix-repro: one package of the demo diverges, so the exit code is 1. Now yours: nix-repro check "
                ".#default"
            ),
            err=True,
        )
    sys.exit(code)


@cli.command()
@click.argument("what", nargs=-1, required=True, metavar="REPORT-DIRECTORY | INSTALLABLE...")
@_settings
@_results
def explain(what: tuple[str, ...], results: Results, **flags: Any) -> None:
    """Explain why builds differ, and prove it by experiment.

    A report directory from another machine, such as a downloaded artifact, is explained without Nix and without a
    rebuild. An installable is checked, then rebuilt under one controlled change at a time: clock, cores, directory
    order, build directory, kernel, time zone.
    """
    if len(what) == 1 and (Path(what[0]) / "report.json").is_file():
        _explain_again(Path(what[0]), flags, results)
        return
    given = {**flags, "explain": flags["explain"] or "variations"}
    sys.exit(_check(_config(what, given), Path.cwd(), results))


@cli.command(hidden=True)
def action() -> None:
    """What action.yml runs: takes inputs from the environment and puts results where GitHub shows them."""
    from nix_repro.cli.action import run

    sys.exit(run(os.environ))


@cli.command(hidden=True)
def publish() -> None:
    """What publish/action.yml runs: comments with the stored reports of a job that had no permission to."""
    from nix_repro.cli.action import publish_stored

    sys.exit(publish_stored(os.environ))


def _config(installables: tuple[str, ...], flags: dict[str, Any], *, defaults: bool = True) -> Config:
    from nix_repro.config import FILE_NAME, layer, load, read_file

    file = flags.pop("config_file")
    given = layer({"installables": installables, **flags}, "--{}")
    if file is None and defaults and Path(FILE_NAME).is_file():
        file = Path(FILE_NAME)
    return load([read_file(file) if file is not None else {}, given])


def _check(config: Config, cwd: Path, results: Results) -> int:
    from nix_repro.check import check as run_check
    from nix_repro.nix.processes import Processes
    from nix_repro.output.render.progress import Progress
    from nix_repro.output.render.terminal import print_report
    from nix_repro.output.tree_names import named_trees

    results.prepare()
    processes = Processes()

    def use(outcome: Outcome) -> Report:
        trees = named_trees(outcome.report, outcome.seen.trees)
        return results.keep_trees(outcome.report, trees, config.diffoscope, processes.stopped)

    with processes.handling_signals():
        with Progress() as display:
            report = run_check(config, processes, os.environ, cwd, display, use)
        try:
            results.write(report)
        finally:
            try:
                print_report(report)
            except SystemExit:
                pass  # rich exits when nobody reads its output; the exit code is still the verdict's
    return report.exit_code


def _explain_again(directory: Path, flags: dict[str, Any], results: Results) -> None:
    from nix_repro.cli.explain_offline import explain_directory
    from nix_repro.output.render.terminal import print_report

    useless = [
        f"--{name.replace('_', '-')}"
        for name, value in flags.items()
        if value not in (None, ()) and name not in _EXPLAINS_AGAIN
    ]
    if useless:
        raise UsageError(f"{', '.join(useless)}: nothing is built when a report directory is explained")
    config = _config((), {"config_file": None, "diffoscope": flags["diffoscope"]}, defaults=False)
    results.prepare()
    report = explain_directory(directory, lambda report, trees: results.keep_trees(report, trees, config.diffoscope))
    results.write(report)
    print_report(report)
