"""`nix-repro demo`: a check of the flake that comes along."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nix_repro.cli.check import check_here
from nix_repro.cli.options import configuration, with_results, with_settings
from nix_repro.errors import DIVERGENCE

if TYPE_CHECKING:
    from nix_repro.output.directory import Results
    from nix_repro.output.render.screen import Verbosity


@click.command()
@with_settings
@with_results
def demo(results: Results, verbosity: Verbosity, **flags: Any) -> None:
    """Check a small flake in which one package diverges."""
    package = Path(__file__).parents[1]
    directory = next(d for d in (package / "demo", package.parents[1] / "fixtures" / "demo") if d.is_dir())
    if verbosity != "quiet":
        click.echo("nix-repro: checking a flake of several packages, one of which diverges on purpose", err=True)
    # No cache has anything of it, so none needs to be asked.
    given = {**flags, "config_file": None, "scope": flags["scope"] or "closure"}
    code = check_here(configuration((f"path:{directory}#all",), given, defaults=False), directory, results, verbosity)
    if code == DIVERGENCE and verbosity != "quiet":
        click.echo(
            "\nnix-repro: one package of the demo diverges, so the exit code is 1. "
            "Now yours: nix-repro check .#default",
            err=True,
        )
    sys.exit(code)
