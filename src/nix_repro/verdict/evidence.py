"""What earlier runs have seen of derivations, and what that is worth. Pure.

Only a build is evidence: a path that was fetched or copied agrees with the build that it is a copy of by construction.
Two builds say something of a derivation if they had the same inputs, content and all: above a divergent derivation,
others differ because of it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from nix_repro.nix.derivation import Derivation
from nix_repro.nix.graph import in_order
from nix_repro.nix.store_path import store_name
from nix_repro.observations import Attempt, Place

How = Literal["built", "rebuilt", "remote"]
#: Builds in a row that have to agree before a divergence counts as one that is over.
ENOUGH = 5


@dataclass(frozen=True)
class Built:
    """One build of one derivation, as the ledger has it: the narHashes (SRI) of all its outputs, `inputs` (see
    `digests`), when it started (seconds since the epoch), how long it took, and where. `variations` are what was held
    different on purpose from the build before it."""

    drv_path: str
    inputs: str
    hashes: Mapping[str, str]
    how: How
    at: float
    machine: Place
    seconds: float | None = None
    variations: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """What people call it."""
        return store_name(self.drv_path)

    @property
    def content(self) -> tuple[tuple[str, str], ...]:
        """The narHash of every output, in the order of their names."""
        return tuple(sorted(self.hashes.items()))

    def agrees(self, hashes: Mapping[str, str]) -> bool:
        """Whether it made the same content."""
        return dict(self.hashes) == dict(hashes)


@dataclass(frozen=True)
class Recalled:
    """What the ledger says of a derivation as this run has it. `builds` are those to compare with, oldest first.
    `verified`: enough of them agree, and nothing has to be built again. `diverges`: they do not agree with each other,
    or with this run's build."""

    builds: tuple[Built, ...]
    verified: bool
    diverges: bool


@dataclass(frozen=True)
class Demands:
    """When earlier builds are enough: `rounds` of them agree, and the youngest is not older than `since` (seconds since
    the epoch). `again` are derivations that are to be built again whatever is known."""

    rounds: int = 2
    since: float = 0.0
    again: Collection[str] = ()


def digests(targets: Mapping[str, Derivation], content: Callable[[str, str], str | None]) -> dict[str, str]:
    """What the inputs of the targets were: a digest by .drv path, for those of which it is known. `content` gives the
    narHash of an output, None where that is not known.

    Behind an input that is a target itself are its own inputs, because its output may refer to them. Of any other its
    own content is enough: nobody here has built it.
    """
    found: dict[str, str | None] = {}
    for drv_path in in_order(targets):
        lines: list[str] = []
        for input_drv, outputs in sorted(targets[drv_path].input_drvs.items()):
            hashes = [content(input_drv, name) for name in sorted(outputs)]
            below = found.get(input_drv, "")
            if None in hashes or below is None:
                break
            lines.append(f"{input_drv} {' '.join(map(str, hashes))} {below}")
        else:
            found[drv_path] = hashlib.sha256("\n".join(lines).encode()).hexdigest()[:32] if lines else "none"
            continue
        found[drv_path] = None
    return {path: digest for path, digest in found.items() if digest is not None}


def recall(first: Attempt, inputs: str | None, builds: Iterable[Built], demands: Demands) -> Recalled | None:
    """What earlier builds say of a derivation of which this run has `first`, on these inputs. None: nothing.

    What this run has built itself is one build more, and is compared with those on the same inputs. What it has fetched
    or found is none: then the builds that made the same are what is known of it.
    """
    groups: dict[str, list[Built]] = {}
    for build in sorted(builds, key=lambda build: build.at):
        groups.setdefault(build.inputs, []).append(build)
    hashes = {name: seen.nar_hash for name, seen in first.outputs.items()}
    mine = {seen.source for seen in first.outputs.values()} == {"built"}
    if mine:
        group = groups.get(inputs or "", [])
    else:
        group = max(
            (group for group in groups.values() if any(build.agrees(hashes) for build in group)), key=len, default=[]
        )
    if not group:
        return None
    agreeing = _agreeing(group, hashes)
    settled = len(agreeing) == len(group) or len(agreeing) + mine >= max(ENOUGH, demands.rounds)
    compared = agreeing if settled else group
    young = mine or compared[-1].at >= demands.since
    verified = settled and len(agreeing) + mine >= demands.rounds and young and first.drv_path not in demands.again
    return Recalled(tuple(compared), verified, diverges=not settled)


def _agreeing(builds: Sequence[Built], hashes: Mapping[str, str]) -> list[Built]:
    """The last builds, up to one that made something else."""
    found: list[Built] = []
    for build in reversed(builds):
        if not build.agrees(hashes):
            break
        found.append(build)
    return found[::-1]


def sampled(drv_path: str, day: int, share: float) -> bool:
    """Whether a derivation is looked at again on this day (since the epoch), though it is verified: the same for
    everybody, another part of all on another day."""
    drawn = int.from_bytes(hashlib.sha256(f"{day} {drv_path}".encode()).digest()[:8], "big")
    return drawn < share * 2**64
