"""`nix-repro plan`: what a check would do."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from nix_repro.cli.options import configuration, with_settings


@click.command()
@click.argument("installables", nargs=-1)
@with_settings
@click.option("--json", "as_json", is_flag=True, help="Print the plan as JSON (docs/report.md)")
@click.option("-v", "--verbose", is_flag=True, help="Name every derivation, with its path")
def plan(installables: tuple[str, ...], as_json: bool, verbose: bool, **flags: Any) -> None:
    """Show what `check` would do, without building."""
    import msgspec

    from nix_repro.check import plan_only
    from nix_repro.nix.processes import Processes
    from nix_repro.output.render.plan import print_plan
    from nix_repro.output.render.progress import Progress

    processes = Processes()
    with processes.handling_signals():
        with Progress() as display:
            config = configuration(installables, flags)
            planned = plan_only(config, processes, os.environ, Path.cwd(), display)
        if as_json:
            click.echo(msgspec.json.format(msgspec.json.encode(planned), indent=2))
        else:
            print_plan(planned, verbose=verbose)
