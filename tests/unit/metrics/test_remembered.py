"""What earlier runs have saved this one."""

from __future__ import annotations

from nix_repro.metrics.remembered import ledger_use
from nix_repro.observations import Place
from nix_repro.output.render.phrases import remembered
from nix_repro.parts import LedgerUse
from nix_repro.verdict.evidence import Built, Recalled


def build(at: float, place: str, seconds: float | None = 4.0) -> Built:
    return Built("/nix/store/x.drv", "none", {"out": "sha256-"}, "built", at, Place(place, {}), seconds)


KNOWN = [
    Recalled((build(0.0, "1"), build(86400.0, "2")), verified=True, diverges=False),
    Recalled((build(172800.0, "2", None),), verified=True, diverges=False),
    Recalled((build(0.0, "3"),), verified=False, diverges=True),
]


def test_of_what_is_verified_the_last_builds_count() -> None:
    assert ledger_use(KNOWN, 3) == LedgerUse(
        verified=2, rebuilt=3, machines=2, oldest="1970-01-02 00:00 UTC", seconds=4.0
    )
    assert ledger_use([], 1) == LedgerUse(verified=0, rebuilt=1, machines=0)


def test_how_it_is_said() -> None:
    assert remembered(ledger_use(KNOWN, 3)) == (
        "rebuilt 3 derivations; 2 verified by earlier builds, the oldest of 1970-01-02 00:00 UTC, on 2 machines, about "
        "4.0 s of building saved"
    )
    assert remembered(ledger_use([], 1)) == "rebuilt 1 derivation: earlier runs have verified none of them"
