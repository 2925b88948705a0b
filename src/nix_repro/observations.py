"""What was observed of derivations, before anybody judges it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from nix_repro.reasons import Reason
from nix_repro.report import Source, Status


@dataclass(frozen=True)
class Seen:
    """One output's content: where it was, its narHash (SRI), and how that came about."""

    path: str
    nar_hash: str
    source: Source
    origin: str


@dataclass(frozen=True)
class Attempt:
    """One attempt at one derivation.

    `outputs` are those whose hash is known; `missing` says of every other one why. `because` explains a status that
    is not a success. `started` is in seconds since the epoch.
    """

    drv_path: str
    round: int
    status: Status
    outputs: Mapping[str, Seen] = field(default_factory=dict)
    missing: Mapping[str, Reason] = field(default_factory=dict)
    because: Reason | None = None
    started: float | None = None
    seconds: float | None = None
    log: str | None = None
    isolated: bool = False


@dataclass(frozen=True)
class Tree:
    """The two sides of a differing output on disk: the build's and the rebuild's."""

    a: Path
    b: Path
    round: int


@dataclass
class Observations:
    """Everything observed in a run, by .drv path and in the order it was. `trees` is keyed by .drv path and output."""

    attempts: dict[str, list[Attempt]] = field(default_factory=dict)
    trees: dict[tuple[str, str], Tree] = field(default_factory=dict)

    def add(self, attempts: Iterable[Attempt]) -> None:
        for attempt in attempts:
            self.attempts.setdefault(attempt.drv_path, []).append(attempt)

    def with_more(self, attempts: Iterable[Attempt], trees: Mapping[tuple[str, str], Tree]) -> Observations:
        """These observations and further ones, as a value of its own."""
        whole = Observations({path: list(known) for path, known in self.attempts.items()}, {**self.trees, **trees})
        whole.add(attempts)
        return whole

    def first(self, drv_path: str) -> Attempt | None:
        """The first build, if it came to that."""
        return next((a for a in self.attempts.get(drv_path, ()) if a.round == 1), None)

    def rebuilds(self, drv_path: str, *, isolated: bool) -> list[Attempt]:
        return [a for a in self.attempts.get(drv_path, ()) if a.round > 1 and a.isolated == isolated]

    def built(self) -> dict[str, Attempt]:
        """The first builds that succeeded."""
        return {path: first for path in self.attempts if (first := self.first(path)) is not None and first.outputs}
