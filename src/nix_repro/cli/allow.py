"""`nix-repro allow`: a rule for what is known to diverge, written into the configuration file."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from glob import escape
from pathlib import Path
from typing import TYPE_CHECKING

import click

from nix_repro.errors import PASS, USAGE, UsageError, interrupted

if TYPE_CHECKING:
    from nix_repro.report import Report
    from nix_repro.verdict.allow import AllowRule

_FILE = click.Path(path_type=Path)


@click.command()
@click.argument("name", required=False)
@click.option(
    "--all-current",
    is_flag=True,
    help="Instead of NAME: a rule for everything that diverges now. It runs `nix-repro check` to find that out",
)
@click.option("--report", type=_FILE, help="With --all-current: an earlier run's report or directory, and no check")
@click.option("--reason", required=True, help="Why it may diverge")
@click.option("--until", metavar="DATE", help="The last day on which it may, such as 2027-01-31")
@click.option("--output", help="Only this output may")
@click.option("--cause", help="Only by this cause may it, such as timestamp")
@click.option("--config", type=_FILE, help="Configuration file [default: .nix-repro.yml]")
def allow(name: str | None, all_current: bool, report: Path | None, config: Path | None, **values: str | None) -> None:
    """Allow something to diverge: it is known, and fails no run.

    NAME is a derivation's name (hello-2.12), an attribute (hello, packages.x86_64-linux.hello), or a pattern of
    either ('python3.*-foo-*'). The rule is added to .nix-repro.yml.
    """
    from nix_repro.config.allow import rule
    from nix_repro.nix.checkout import CONFIGURATION_FILE

    if all_current == (name is not None):
        raise UsageError("either NAME or --all-current says what is allowed")
    if report is not None and not all_current:
        raise UsageError("--report: only with --all-current")
    if all_current and (values["output"] is not None or values["cause"] is not None):
        raise UsageError("--output and --cause: only with a NAME")
    places = {key: f"--{key}" for key in values} | {"name": "NAME"}
    given = rule({"name": "*" if all_current else name, **values}, places)
    if given.until is not None and given.until < datetime.now(UTC).date():
        raise UsageError(f"--until: {given.until} is over")
    file = config or Path(CONFIGURATION_FILE)
    wanted = [given]
    if all_current:
        found = _from_report(report) if report is not None else _from_check(config)
        wanted = [replace(given, name=name) for name in diverging(found)]
    sys.exit(_add(file, wanted))


def _from_report(path: Path) -> Report:
    from nix_repro.output.directory import read_report
    from nix_repro.output.formats import JSON

    report = read_report(path / JSON.file if path.is_dir() else path)
    if interrupted(report.exit_code):
        raise UsageError(f"{path}: that run was interrupted: what diverges is not all known")
    return report


def _from_check(config: Path | None) -> Report:
    """A check of what a check without arguments checks here."""
    from nix_repro.cli.check import run_check
    from nix_repro.cli.options import configuration
    from nix_repro.output.directory import Results

    report = run_check(
        configuration((), {"config_file": config, "ledger": None, "no_ledger": False}),
        os.environ,
        Path.cwd(),
        Results(),
    )
    if interrupted(report.exit_code):
        sys.exit(report.exit_code)
    return report


def diverging(report: Report) -> list[str]:
    """The names by which rules can allow everything that diverges in a report and is not known yet: an attribute, which
    stays when a version changes, where that names nothing else, else the derivation's name."""
    from nix_repro.verdict.allow import names, short

    called = Counter(name for d in report.derivations for name in {*names(d.name, d.attrs)})
    found: dict[str, None] = {}
    for derivation in report.derivations:
        if derivation.verdict == "divergent" and "known" not in derivation.marks:
            attributes = (name for attr in derivation.attrs for name in short(attr))
            alone = (name for name in attributes if called[name] == 1 and name != "default")
            # It stands for itself, whatever signs of patterns it has.
            found[escape(next(alone, derivation.name))] = None
    return sorted(found)


def _add(file: Path, wanted: Sequence[AllowRule]) -> int:
    """Add rules to the file, but for those that it has. Returns the exit code."""
    from nix_repro.config import load, read_settings
    from nix_repro.config.amend import block, with_rules
    from nix_repro.config.document import BYTES, VALUES
    from nix_repro.files import read_regular, write_whole
    from nix_repro.output.render.escape import visible
    from nix_repro.text import plural

    content = read_regular(file, BYTES) if os.path.lexists(file) else b""
    had = {rule.key: rule for rule in load([read_settings(content, str(file))]).allow}
    new = [rule for rule in wanted if rule.key not in had]
    for rule in wanted:
        if (old := had.get(rule.key)) is not None:
            click.echo(f"nix-repro: {old.place} has a rule for {visible(rule.name)} already: change that one", err=True)
    if not wanted:
        click.echo("nothing diverges that is not known: no rule was written")
    if len(had) + len(new) > VALUES:
        raise UsageError(f"{file}: would have more than {VALUES:,} rules; patterns allow several at once")
    if new:
        lines = "\n".join(["allow:", *map(visible, block(new))])
        changed = with_rules(content, str(file), new)
        if changed is None:
            raise UsageError(f"{file}: a rule cannot be added without changing something else of it. By hand:\n{lines}")
        if len(changed) > BYTES:
            raise UsageError(f"{file}: would have more than {BYTES:,} bytes; patterns allow several at once")
        write_whole(Path(os.path.realpath(file)), changed, keep_mode=True)
        click.echo(f"{plural(len(new), 'rule')} added to {file}:\n{lines}")
    return PASS if len(new) == len(wanted) else USAGE
