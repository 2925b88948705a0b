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
def plan(installables: tuple[str, ...], **flags: Any) -> None:
    """Show what `check` would do, without building."""
    from nix_repro.check import plan_only
    from nix_repro.nix.processes import Processes
    from nix_repro.output.render.plan import print_plan
    from nix_repro.output.render.progress import Progress

    processes = Processes()
    with processes.handling_signals():
        with Progress() as display:
            config = configuration(installables, flags)
            made, present, where = plan_only(config, processes, os.environ, Path.cwd(), display)
        print_plan(made, present, where)
