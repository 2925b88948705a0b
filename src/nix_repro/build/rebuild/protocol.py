"""What all rebuilders share: the question, the answer, and what each says of itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from nix_repro.build.limits import Limits
from nix_repro.build.variations import TIME, Condition
from nix_repro.nix.derivation import Derivation
from nix_repro.nix.log.recorder import Recorder
from nix_repro.observations import Attempt, Tree

#: Options for every rebuild: nothing may be fetched or published.
ISOLATION: tuple[tuple[str, str], ...] = (
    ("substitute", "false"),
    ("post-build-hook", ""),
    ("builders", ""),
    ("min-free", "0"),
)

#: Options where the first build may have had a sandbox that is not to be had here: it may not be left silently.
STRICT: tuple[tuple[str, str], ...] = (("sandbox-fallback", "false"),)


@dataclass(frozen=True)
class Request:
    """Build these again, under a condition. `first` are the builds to compare with, of everything: the first ones, or
    later ones that have taken their place in the store. `keep` is a directory for trees that differ.

    Inputs that are not targets themselves are taken as these builds left them: that is what makes a request for a
    single derivation an isolated one.
    """

    targets: tuple[Derivation, ...]
    first: Mapping[str, Attempt]
    round: int
    limits: Limits
    keep: Path
    isolated: bool = False
    condition: Condition = TIME

    def against(self, drv_path: str) -> Attempt | None:
        """What a rebuild is compared with where that is not the first build."""
        first = self.first[drv_path]
        return first if first.round > 1 else None

    def made(self) -> dict[str, str]:
        """What these builds made: narHash by store path."""
        return {seen.path: seen.nar_hash for attempt in self.first.values() for seen in attempt.outputs.values()}

    def made_by(self, drv: Derivation) -> dict[str, str]:
        """The same of one derivation."""
        return {seen.path: seen.nar_hash for seen in self.first[drv.drv_path].outputs.values()}


@dataclass(frozen=True)
class Answer:
    """What came of it, in the terms of the run's observations."""

    attempts: tuple[Attempt, ...]
    trees: Mapping[tuple[str, str], Tree]


class Rebuilder(Protocol):
    """An independent repetition of builds.

    `alone`: no other run may use the store at the same time, because for a while it is not as the first build left it.
    `isolates`: a repetition with the first build's inputs can be had. `elsewhere`: it builds in another store, which
    may be on a machine for other systems. `varies`: the names of the conditions that it can rebuild under.
    """

    name: str
    alone: bool
    isolates: bool
    elsewhere: bool
    varies: frozenset[str]

    def rebuild(self, request: Request, recorder: Recorder) -> Answer:
        """Raises `NixError` when the repetition as a whole cannot be had."""
        ...


def refusal(rebuilder: Rebuilder, condition: Condition) -> str | None:
    """Why a rebuilder cannot rebuild under the condition, or None."""
    if {*condition.names} <= {TIME.name, *rebuilder.varies}:
        return None
    return f"the {rebuilder.name} rebuilder cannot build with {condition.what}"
