"""What earlier runs have saved this one. Pure."""

from __future__ import annotations

from collections.abc import Collection

from nix_repro.parts import LedgerUse
from nix_repro.text import when
from nix_repro.verdict.evidence import Recalled


def ledger_use(known: Collection[Recalled], rebuilt: int) -> LedgerUse:
    """What the ledger knew of a run's derivations, of which so many were built again all the same."""
    verified = [one for one in known if one.verified]
    return LedgerUse(
        verified=len(verified),
        rebuilt=rebuilt,
        machines=len({build.machine.machine for one in verified for build in one.builds}),
        oldest=when(min(one.builds[-1].at for one in verified)) if verified else None,
        seconds=round(sum(one.builds[-1].seconds or 0.0 for one in verified), 3) if verified else None,
    )
