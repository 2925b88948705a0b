"""`nix-repro doctor`: what is wrong here, and what to do."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click


@click.command()
@click.argument("installables", nargs=-1)
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON")
def doctor(installables: tuple[str, ...], as_json: bool) -> None:
    """Look for problems with Nix, caches, checkout and machine.

    Changes nothing. The exit code is 1 if there are problems.
    """
    from nix_repro.doctor.diagnose import diagnose
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
