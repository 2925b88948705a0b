"""What earlier runs have saved this one, and what it keeps for later ones. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from nix_repro.nix.caches.narinfo import Held
from nix_repro.parts import LedgerUse, VerifiedUse
from nix_repro.text import when
from nix_repro.verdict.evidence import Recalled


def ledger_use(known: Collection[Recalled], rebuilt: int) -> LedgerUse:
    """What the ledger knew of a run's derivations, of which so many were built again all the same."""
    verified = [[build for build in one.builds if build.made] for one in known if one.verified]
    return LedgerUse(
        verified=len(verified),
        rebuilt=rebuilt,
        machines=len({build.machine.machine for builds in verified for build in builds}),
        oldest=when(min(builds[-1].at for builds in verified)) if verified else None,
        seconds=round(sum(builds[-1].seconds or 0.0 for builds in verified), 3) if verified else None,
    )


def verified_use(before: Mapping[str, Held], after: Mapping[str, Held], left_out: int) -> VerifiedUse:
    """What has become of the verified cache, in which so many paths found no room."""
    was, now = ({(one.path, one.nar_hash) for one in held.values()} for held in (before, after))
    taken = sum(one.size for one in after.values())
    return VerifiedUse(paths=len(now), bytes=taken, added=len(now - was), removed=len(was - now), left_out=left_out)
