"""What was observed of derivations, before anybody judges it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec

from nix_repro.reasons import Reason
from nix_repro.report import Source, Status

#: The fact that tells the machine, where several CI runs may share it.
HOST = "host"


class Place(msgspec.Struct, frozen=True):
    """Where a build took place. `identity` is the address of a CI run, or a digest that tells this machine from others
    and says nothing else of it; `facts` are what may matter to a build, by name."""

    identity: str
    facts: dict[str, str]

    @property
    def machine(self) -> str:
        """What tells the machine from others. Where CI runs say nothing of it, each has one of its own."""
        return self.facts.get(HOST, self.identity)


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
    is not a success. `started` is in seconds since the epoch. `isolated`: it was asked for alone, on the inputs of the
    build that it is compared with; `same_inputs`: it had these although it was not asked for alone. `against` is that
    other build where it is not the first one: a rebuild that the store holds, or one at the same place. `before` is
    when outputs that nobody was seen to build had been built at the latest, in seconds since the epoch. `recalled`: it
    is a build of an earlier run, on the same inputs as this run's first build, and of no round of this one; `copied`
    one that is no repetition, because the first build may be a copy of it. `varied` names what was held different on
    purpose, besides the time.
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
    same_inputs: bool = False
    against: Attempt | None = None
    before: float | None = None
    recalled: bool = False
    copied: bool = False
    varied: tuple[str, ...] = ()

    @property
    def hashes(self) -> dict[str, str]:
        """The narHash of every output that is known, by its name."""
        return {name: seen.nar_hash for name, seen in self.outputs.items()}

    def differs(self, output: str, first: Attempt) -> bool:
        """Whether this output is not what it is compared with."""
        return self.outputs[output].nar_hash != (self.against or first).outputs[output].nar_hash

    def at(self, paths: Collection[str]) -> list[str]:
        """The names of the outputs that are at one of the paths."""
        return [name for name, seen in self.outputs.items() if seen.path in paths]

    def discounted(self, because: Reason) -> Attempt:
        """The same attempt where something speaks against what it found."""
        missing = dict.fromkeys([*self.outputs, *self.missing], because)
        return replace(self, status="not-built", outputs={}, missing=missing, because=because)


@dataclass(frozen=True)
class Tree:
    """The two sides of a differing output on disk: the build's (see `Attempt.against`) and the rebuild's."""

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

    def repeat(self, attempts: Iterable[Attempt]) -> None:
        """Add those of a round that was asked for once more: what had waited for a dependency has its turn now."""
        for attempt in attempts:
            waited = [a for a in self.attempts[attempt.drv_path] if a.status == "dependency-failed"]
            same = [a for a in waited if (a.round, a.isolated) == (attempt.round, attempt.isolated)]
            self.attempts[attempt.drv_path] = [a for a in self.attempts[attempt.drv_path] if a not in same]
            self.add([attempt])

    def failed(self, drv_paths: Iterable[str], round_number: int, *, isolated: bool) -> dict[str, Status]:
        """Those of which the last build of a round has failed, or had to wait for one that left nothing, with how it
        ended."""
        last = {
            path: attempt
            for path in drv_paths
            for attempt in self.attempts.get(path, ())
            if (attempt.round, attempt.isolated) == (round_number, isolated) and not attempt.recalled
        }
        ended = ("failed", "dependency-failed")
        return {path: attempt.status for path, attempt in last.items() if attempt.status in ended}

    def with_more(self, attempts: Iterable[Attempt], trees: Mapping[tuple[str, str], Tree]) -> Observations:
        """These observations and further ones, as a value of its own."""
        whole = Observations({path: list(known) for path, known in self.attempts.items()}, {**self.trees, **trees})
        whole.add(attempts)
        return whole

    def date(self, before: Mapping[str, float]) -> None:
        """Say of first builds that were not seen, by .drv path, when they had ended at the latest (epoch seconds)."""
        for drv_path, latest in before.items():
            self.attempts[drv_path] = [
                replace(a, before=latest) if a.round == 1 else a for a in self.attempts.get(drv_path, ())
            ]

    def first(self, drv_path: str) -> Attempt | None:
        """The first build that has left anything, else the last one that was tried, if it came to that."""
        tried = [a for a in self.attempts.get(drv_path, ()) if a.round == 1]
        return next((a for a in tried if a.outputs), tried[-1] if tried else None)

    def rebuilds(self, drv_path: str, *, isolated: bool) -> list[Attempt]:
        """Those of everything together, or those with the inputs of what they are compared with. A first build that was
        tried again is one of both."""
        first = self.first(drv_path)
        rebuilds = [a for a in self.attempts.get(drv_path, ()) if a is not first]
        return [a for a in rebuilds if (a.isolated or a.same_inputs if isolated else not a.isolated)]

    def built(self) -> dict[str, Attempt]:
        """The first builds that succeeded."""
        return {path: first for path in self.attempts if (first := self.first(path)) is not None and first.outputs}
