"""`nix-repro explain`: a report directory is explained as it is, an installable by experiments."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nix_repro.cli.check import check_here, tell
from nix_repro.cli.options import configuration, with_results, with_settings
from nix_repro.errors import PASS, USAGE, UsageError
from nix_repro.output.formats import JSON

if TYPE_CHECKING:
    from nix_repro.output.directory import Results
    from nix_repro.output.render.screen import Verbosity

#: The settings that mean something where nothing is built.
_OFFLINE = ("config_file", "diffoscope")


@click.command()
@click.argument("what", nargs=-1, required=True, metavar="REPORT-DIRECTORY | INSTALLABLE...")
@with_settings
@with_results
def explain(what: tuple[str, ...], results: Results, verbosity: Verbosity, **flags: Any) -> None:
    """Explain why builds differ, and prove it by experiment.

    A report directory from another machine, such as a downloaded artifact, is explained without Nix and without a
    rebuild. An installable is checked, then rebuilt under one controlled change at a time: clock, cores, directory
    order, build directory, kernel, time zone.
    """
    if len(what) == 1 and (Path(what[0]) / JSON.file).is_file():
        _explain_directory(Path(what[0]), flags, results, verbosity)
        return
    given = {**flags, "explain": flags["explain"] or "variations"}
    sys.exit(check_here(configuration(what, given), Path.cwd(), results, verbosity))


def _explain_directory(directory: Path, flags: dict[str, Any], results: Results, verbosity: Verbosity) -> None:
    from nix_repro.cli.explain_offline import explain_directory
    from nix_repro.output.render.terminal import print_report

    useless = [
        f"--{name.replace('_', '-')}"
        for name, value in flags.items()
        if value not in (None, ()) and name not in _OFFLINE
    ]
    if useless:
        raise UsageError(f"{', '.join(useless)}: nothing is built when a report directory is explained")
    config = configuration((), {"config_file": None, "diffoscope": flags["diffoscope"]}, defaults=False)
    results.prepare()
    report = explain_directory(directory, lambda report, trees: results.keep_trees(report, trees, config.diffoscope))
    problems = results.write(report)
    print_report(report, verbosity=verbosity, written=results.written(problems))
    tell(problems)
    sys.exit(USAGE if problems else PASS)
