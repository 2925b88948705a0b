"""What `nix-repro ledger` prints."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import asdict

import msgspec
from rich.console import Console
from rich.text import Text

from nix_repro.ledger.known import Acquaintance
from nix_repro.output.render.escape import visible
from nix_repro.text import plural, when
from nix_repro.verdict.evidence import Built


def print_known(known: Iterable[Acquaintance]) -> None:
    """One line a derivation; those that diverge say so."""
    console = Console(file=sys.stdout, highlight=False)
    nothing = True
    for one in known:
        nothing = False
        agree = "all agree" if one.contents == 1 else f"{one.contents} different contents"
        varied = f", varied: {', '.join(one.variations)}" if one.variations else ""
        console.print(
            Text(
                f"{visible(one.name)}: {plural(one.builds, 'build')} on {plural(one.machines, 'machine')} and "
                f"{plural(one.days, 'day')}, last {when(one.last)}: {agree}{visible(varied)}",
                style="bold red" if one.contents > 1 else "",
            ),
            soft_wrap=True,
        )
    if nothing:
        console.print("nothing is known of it")


def as_line(build: Built) -> str:
    """One build as a line of JSON."""
    return msgspec.json.encode({**asdict(build), "machine": build.machine}).decode()
