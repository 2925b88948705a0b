"""What earlier runs have saved this one, and what it keeps for later ones. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime

from nix_repro.nix.caches.narinfo import Held
from nix_repro.parts import LedgerUse, VerificationCost, VerifiedUse
from nix_repro.verdict.evidence import Built, Recalled


def ledger_use(known: Collection[Recalled], compared: int, rebuilt: int, rounds: int) -> LedgerUse:
    """What the ledger knew of the derivations that a run compares, of which so many were built again all the same.
    Without it, they would have been built `rounds` times in total."""
    verified = [[build for build in one.builds if build.made] for one in known if one.verified]
    took = [seconds for builds in verified if (seconds := _seconds(builds)) is not None]
    oldest = min((builds[-1].at for builds in verified), default=None)
    return LedgerUse(
        compared=compared,
        verified=len(verified),
        rebuilt=rebuilt,
        machines=len({build.machine.machine for builds in verified for build in builds}),
        oldest=datetime.fromtimestamp(oldest, UTC).isoformat(timespec="seconds") if oldest is not None else None,
        seconds=round(sum(took) * (rounds - 1), 3) if took else None,
    )


def verification_cost(
    targets: Collection[str], before: Mapping[str, Sequence[Built]], known: Mapping[str, Recalled], rounds: int
) -> VerificationCost:
    """What it costs to verify the targets, of which the ledger has the builds `before`, and is expected to say what is
    `known`."""
    again = [path for path in targets if not (path in known and known[path].verified)]
    took = [seconds for path in again if (seconds := _seconds(before.get(path, ()))) is not None]
    return VerificationCost(
        ledger=ledger_use(known.values(), len(targets), len(again), rounds),
        cost=round(sum(took) * (rounds - 1), 3),
        untimed=len(again) - len(took),
    )


def _seconds(builds: Sequence[Built]) -> float | None:
    """How long it took the last time that somebody looked."""
    return next((build.seconds for build in reversed(builds) if build.seconds is not None), None)


def verified_use(before: Mapping[str, Held], after: Mapping[str, Held], left_out: int) -> VerifiedUse:
    """What has become of the verified cache, in which so many paths found no room."""
    was, now = ({(one.path, one.nar_hash) for one in held.values()} for held in (before, after))
    # What has the same content has one archive.
    taken = sum({one.archive: one.size for one in after.values()}.values())
    return VerifiedUse(paths=len(now), bytes=taken, added=len(now - was), removed=len(was - now), left_out=left_out)
