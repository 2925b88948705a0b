"""What earlier runs save, in words, before a run and after it."""

from __future__ import annotations

from datetime import datetime

from nix_repro.parts import LedgerUse, VerificationCost
from nix_repro.report import Report
from nix_repro.text import ago, plural, seconds


def remembered(report: Report) -> str:
    """What the ledger has saved this run."""
    use = report.ledger
    if use is None or not use.compared:
        return ""
    return (
        f"rebuilt {use.rebuilt:,} of {use.compared:,}; {_spared(use, datetime.fromisoformat(report.started), 'saved')}"
    )


def forecast(cost: VerificationCost, now: datetime) -> str:
    """What a check would have to build again, what that costs, and what the ledger saves it."""
    use = cost.ledger
    known = f"about {seconds(cost.cost)} of building" if cost.untimed < use.rebuilt else ""
    unknown = f"{cost.untimed:,} of unknown duration" if cost.untimed else ""
    takes = " and ".join(filter(None, (known, unknown)))
    again = f"to rebuild {use.rebuilt:,} of {use.compared:,}" + (f" ({takes})" if takes else "")
    return f"{again}; {_spared(use, now, 'saves')}"


def _spared(use: LedgerUse, now: datetime, saves: str) -> str:
    """What is not built again, why, and what that `saves`."""
    if not use.verified or use.oldest is None:
        return "none spared by the ledger"
    age = (now - datetime.fromisoformat(use.oldest)).total_seconds()
    saved = f"; {saves} about {seconds(use.seconds)} of building" if use.seconds and use.seconds >= 0.05 else ""
    return f"{use.verified:,} verified before, oldest {ago(age)}, on {plural(use.machines, 'machine')}{saved}"
