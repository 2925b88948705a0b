"""What earlier runs have seen of derivations, and what that is worth. Pure.

Only a build is evidence: a path that was fetched or copied agrees with the build that it is a copy of by construction.
What was in the store before it was built again stands for the one build that it came of, unless that may be one which
is known anyway: what a rebuild has made is never published. Two builds say something of a derivation if they had the
same inputs, content and all: above a divergent derivation, others differ because of it.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from nix_repro.nix.derivation import Derivation
from nix_repro.nix.graph import in_order
from nix_repro.nix.store_path import store_name
from nix_repro.observations import Attempt, Place

#: `found` is what was in a store before it was built again there.
How = Literal["built", "rebuilt", "remote", "found"]
#: Builds in a row that have to agree before a divergence counts as one that is over.
ENOUGH = 5
#: Seconds between the starts of builds that are evidence of each other: sooner, they agree on times by chance.
APART = 1.0


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
    def made(self) -> bool:
        """Whether it was seen to be built."""
        return self.how != "found"

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
    """When earlier builds are enough: `rounds` of them agree, the youngest is not older than `since` (seconds since the
    epoch), and each of the `variations` was held different in one of them. What is dated later than `now` was not young
    then. `again` are derivations that are to be built again whatever is known.
    """

    rounds: int = 2
    since: float = 0.0
    now: float = math.inf
    again: Collection[str] = ()
    variations: Collection[str] = ()


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
    groups = _by_inputs(builds)
    hashes = first.hashes
    mine = (first.started or math.inf) if _is_built(first) else None
    if mine is not None:
        group = groups.get(inputs or "", [])
    else:
        group = max(
            (group for group in groups.values() if any(build.agrees(hashes) for build in group)), key=len, default=[]
        )
    return _weigh(group, hashes, mine, demands, again=first.drv_path in demands.again) if group else None


def foresee(
    drv_path: str, builds: Iterable[Built], hashes: Mapping[str, str] | None, demands: Demands, *, built: bool
) -> Recalled | None:
    """What they will say of what has these `hashes`, or of what the last of them has made, if these are not known yet;
    and of a build of it on the same inputs, if it is to be `built`. None: nothing."""
    rows = sorted(builds, key=lambda build: build.at)
    last = next((build for build in reversed(rows) if hashes is None or build.agrees(hashes)), None)
    if last is None:
        return None
    group = [build for build in rows if build.inputs == last.inputs]
    return _weigh(group, last.hashes, math.inf if built else None, demands, again=drv_path in demands.again)


def _weigh(
    group: Sequence[Built], hashes: Mapping[str, str], mine: float | None, demands: Demands, *, again: bool
) -> Recalled:
    """What builds on the same inputs, oldest first, say of these hashes, which a build of `mine` has made as well."""
    agreeing = _agreeing(group, hashes)
    count = _independent(agreeing, mine)
    tried = _varied(agreeing)
    # What differed under a variation has to have been tried under it again.
    often = count >= max(ENOUGH, demands.rounds) and tried >= _varied(b for b in group if not b.agrees(hashes))
    settled = len(agreeing) == len(group) or often
    compared = agreeing if settled else group
    dates = [build.at for build in agreeing if build.made]
    young = mine is not None or demands.since <= 0 or any(demands.since <= at <= demands.now for at in dates)
    enough = count >= demands.rounds and tried.issuperset(demands.variations)
    return Recalled(tuple(compared), settled and enough and young and not again, diverges=not settled)


def _varied(builds: Iterable[Built]) -> set[str]:
    """What was held different in them, besides the time, which always is."""
    return {variation for build in builds for variation in build.variations} - {"time"}


def inherits(first: Attempt, inputs: str | None, builds: Sequence[Built]) -> bool:
    """Whether it has come out differently on other inputs than this run's `inputs`. Where these are not known, they are
    those on which it came out the same."""
    hashes = first.hashes
    same = {build.inputs for build in builds if build.agrees(hashes)} if inputs is None else {inputs}
    return any(build.inputs not in same and not build.agrees(hashes) for build in builds)


def original(first: Attempt, builds: Sequence[Built]) -> Built | None:
    """The earlier build, of these, that this run's `first` may be a copy of: no rebuild, because those are never
    published."""
    same = (build for build in builds if build.how != "rebuilt" and build.agrees(first.hashes))
    return None if _is_built(first) else next(same, None)


def _is_built(attempt: Attempt) -> bool:
    return {seen.source for seen in attempt.outputs.values()} == {"built"}


def _independent(agreeing: Sequence[Built], mine: float | None) -> int:
    """How many builds these are, and one that started at `mine`, of which none is another's copy or time."""
    made = [build for build in agreeing if build.made]
    count, last = 0, -math.inf
    for at in sorted([build.at for build in made] + ([mine] if mine is not None else [])):
        if at - last >= APART:
            count, last = count + 1, at
    copied = mine is not None or any(build.how != "rebuilt" for build in made)
    return count + (0 < len(made) < len(agreeing) and not copied)


def together(builds: Iterable[Built], demands: Demands) -> Literal["reproducible", "divergent"] | None:
    """What the builds of one derivation say by themselves, None when they are not enough on the same inputs."""
    groups = _by_inputs(builds).values()
    found = [_weigh(group, group[-1].hashes, None, demands, again=False) for group in groups]
    if any(one.diverges for one in found):
        return "divergent"
    return "reproducible" if any(one.verified for one in found) else None


def _by_inputs(builds: Iterable[Built]) -> dict[str, list[Built]]:
    """Builds on the same inputs together, oldest first."""
    groups: dict[str, list[Built]] = {}
    for build in sorted(builds, key=lambda build: build.at):
        groups.setdefault(build.inputs, []).append(build)
    return groups


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
