"""What `nix-repro ledger` prints."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict

import msgspec

from nix_repro.ledger.known import Acquaintance
from nix_repro.output.render.escape import visible
from nix_repro.output.render.screen import Screen
from nix_repro.text import plural, when
from nix_repro.verdict.evidence import Built


def print_known(known: Iterable[Acquaintance]) -> None:
    """One line a derivation; those that diverge say so."""
    out = Screen()
    nothing = True
    for one in known:
        nothing = False
        agree = "all agree" if one.contents == 1 else f"{one.contents} different contents"
        varied = f", varied: {', '.join(one.variations)}" if one.variations else ""
        out.say(
            f"{visible(one.name)}: {plural(one.builds, 'build')} on {plural(one.machines, 'machine')} and "
            f"{plural(one.days, 'day')}, last {when(one.last)}: {agree}{visible(varied)}",
            "bold red" if one.contents > 1 else "",
            0,
            2,
        )
    if nothing:
        out.say("nothing is known of it")


def as_line(build: Built) -> str:
    """One build as a line of JSON."""
    return msgspec.json.encode({**asdict(build), "machine": build.machine}).decode()
