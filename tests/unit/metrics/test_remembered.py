"""What earlier runs have saved this one, and what it keeps."""

from __future__ import annotations

from nix_repro.metrics.remembered import ledger_use, verified_use
from nix_repro.nix.caches.narinfo import Held
from nix_repro.observations import Place
from nix_repro.output.render.phrases import kept, remembered
from nix_repro.parts import LedgerUse, VerifiedUse
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


def held(name: str, nar_hash: str = "sha256-a") -> Held:
    return Held(name, nar_hash, f"nar/{name}", 10, frozenset())


def test_what_has_become_of_the_verified_cache() -> None:
    """What is put in and taken out again was never there, and what has other content now is new."""
    before = {"same": held("same"), "gone": held("gone"), "other": held("other")}
    after = {"same": held("same"), "other": held("other", "sha256-b"), "new": held("new")}
    assert verified_use(before, after, 4) == VerifiedUse(paths=3, bytes=30, added=2, removed=2, left_out=4)
    assert verified_use(before, before, 0) == VerifiedUse(paths=3, bytes=30)


def test_how_that_is_said() -> None:
    assert kept(VerifiedUse(paths=1, bytes=30)) == "verified cache of 1 path, 30 B"
    assert kept(VerifiedUse(paths=1200, bytes=3_000_000, added=3, removed=2, left_out=1)) == (
        "verified cache of 1,200 paths, 3.0 MB (3 added, 2 removed, 1 without room)"
    )
