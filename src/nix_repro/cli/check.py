"""`nix-repro check`, and the check itself as every command and the action run it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from nix_repro.cli.options import configuration, with_results, with_settings
from nix_repro.errors import PASS, USAGE, interrupted

if TYPE_CHECKING:
    from nix_repro.config import Config
    from nix_repro.observations import Tree
    from nix_repro.output.directory import Results
    from nix_repro.output.render.screen import Verbosity
    from nix_repro.report import Report


@click.command()
@click.argument("installables", nargs=-1)
@with_settings
@with_results
def check(installables: tuple[str, ...], results: Results, verbosity: Verbosity, **flags: Any) -> None:
    """Build, build again, and compare every output.

    INSTALLABLES are flake attributes (.#default), .drv files, or `all`: every package and check for this system.
    """
    sys.exit(check_here(configuration(installables, flags), Path.cwd(), results, verbosity))


def check_here(config: Config, cwd: Path, results: Results, verbosity: Verbosity = "normal") -> int:
    """Check the flake in `cwd` and write what was asked for. Returns the verdict's exit code; where there is nothing to
    complain of but a file that could not be written, that of a usage error."""
    results.prepare()
    problems: list[str] = []

    def write(report: Report) -> Sequence[str]:
        from nix_repro.output.directory import from_here

        problems.extend(results.write(report))
        history = config.history if not interrupted(report.exit_code) else None
        ledger = config.ledger if report.ledger is not None else None
        return [*results.written(problems), *(from_here(file) for file in (history, ledger) if file is not None)]

    report = run_check(config, os.environ, cwd, results, write=write, verbosity=verbosity)
    tell(problems)
    return report.exit_code or (USAGE if problems else PASS)


def tell(problems: Iterable[str]) -> None:
    """Say what could not be written. It may be named after something of the flake's."""
    from nix_repro.output.render.escape import terminal

    for problem in problems:
        click.echo(f"nix-repro: {terminal(problem)}", err=True)


def run_check(
    config: Config,
    environ: Mapping[str, str],
    cwd: Path,
    results: Results,
    *,
    stream: TextIO | None = None,
    write: Callable[[Report], Sequence[str]] = lambda _: (),
    verbosity: Verbosity = "normal",
) -> Report:
    """One check: what it does is shown on `stream` (default: standard error), what differs is kept in `results`, and
    the report is handed to `write` before it is printed, which returns the names of the files that there are then. A
    signal meanwhile stops the builds, not the report."""
    from nix_repro.check import check
    from nix_repro.nix.log.recorder import waiting
    from nix_repro.nix.processes import Processes
    from nix_repro.output.render.progress import Progress
    from nix_repro.output.render.terminal import print_report
    from nix_repro.text import plural

    processes = Processes()
    with processes.handling_signals():

        def compared(name: str, number: int, total: int) -> None:
            if number == 1:
                display.phase(f"comparing {plural(total, 'output')} with diffoscope")
            display.step("diffoscope", name, number, total)

        def keep(report: Report, trees: Mapping[tuple[str, str], Tree]) -> Report:
            with waiting(display, "until both sides of what differs are packed"):
                return results.keep_trees(report, trees, config.diffoscope, processes.stopped, compared)

        with Progress(stream, quiet=verbosity == "quiet", stopped=processes.stopped) as display:
            report = check(
                config,
                processes,
                environ,
                cwd,
                display,
                keep,
            )
        written: Sequence[str] = ()
        try:
            written = write(report)
        finally:
            try:
                print_report(report, verbosity=verbosity, written=written)
            except SystemExit:
                pass  # rich exits when nobody reads its output; the exit code is still the verdict's
    return report
