"""What earlier runs have saved this one, or will save the next."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import msgspec
import pytest

import reports
from nix_repro.metrics.remembered import ledger_use, verification_cost, verified_use
from nix_repro.nix.caches.narinfo import Held
from nix_repro.observations import Place
from nix_repro.output.render.phrases import kept
from nix_repro.output.render.savings import forecast, remembered
from nix_repro.parts import LedgerUse, VerificationCost, VerifiedUse
from nix_repro.verdict.evidence import Built, How, Recalled


def build(at: float, place: str, seconds: float | None = 4.0, how: How = "built") -> Built:
    return Built("/nix/store/x.drv", "none", {"out": "sha256-"}, how, at, Place(place, {}), seconds)


KNOWN = [
    Recalled((build(0.0, "1"), build(86400.0, "2"), build(864000.0, "9", how="found")), verified=True, diverges=False),
    Recalled((build(172800.0, "2", None),), verified=True, diverges=False),
    Recalled((build(0.0, "3"),), verified=False, diverges=True),
]


def test_of_what_is_verified_the_last_builds_count() -> None:
    use = LedgerUse(compared=5, verified=2, rebuilt=3, machines=2, oldest="1970-01-02T00:00:00+00:00", seconds=4.0)
    assert ledger_use(KNOWN, 5, 3, 2) == use
    assert ledger_use(KNOWN, 5, 3, 4).seconds == 12.0, "each would have been built three times again"
    assert ledger_use([], 1, 1, 2) == LedgerUse(compared=1, verified=0, rebuilt=1, machines=0)


def test_what_is_built_again_takes_as_long_as_last_time() -> None:
    before = {"a": [build(0.0, "1", 9.0), build(1.0, "1", 5.0)], "b": [build(0.0, "1", None)], "c": [build(0.0, "1")]}
    cost = verification_cost(["a", "b", "c", "new"], before, {"c": KNOWN[0], "a": KNOWN[2]}, 3)
    assert (cost.cost, cost.untimed, cost.ledger.rebuilt, cost.ledger.verified) == (10.0, 2, 3, 1)


NOW = datetime(1970, 1, 14, tzinfo=UTC)
SPARED = "2 verified before, oldest 12 days ago, on 2 machines"


@pytest.mark.parametrize(
    ("use", "said"),
    [
        (ledger_use(KNOWN, 5, 3, 2), f"3 of 5; {SPARED}; saved about 4.0 s of building"),
        (ledger_use(KNOWN[1:2], 1, 0, 2), "0 of 1; 1 verified before, oldest 11 days ago, on 1 machine"),
        (ledger_use([], 1, 1, 2), "1 of 1; none spared by the ledger"),
    ],
)
def test_how_it_is_said_after_the_run(use: LedgerUse, said: str) -> None:
    report = msgspec.structs.replace(reports.read("clean"), ledger=use, started=NOW.isoformat())
    assert remembered(report) == f"rebuilt {said}"


@pytest.mark.parametrize(
    ("rebuilt", "cost", "untimed", "said"),
    [
        (3, 40.0, 0, "to rebuild 3 of 5 (about 40 s of building); "),
        (3, 40.0, 1, "to rebuild 3 of 5 (about 40 s of building and 1 of unknown duration); "),
        (3, 0.0, 3, "to rebuild 3 of 5 (3 of unknown duration); "),
        (0, 0.0, 0, "to rebuild 0 of 5; "),
    ],
)
def test_how_it_is_said_before_the_run(rebuilt: int, cost: float, untimed: int, said: str) -> None:
    use = msgspec.structs.replace(ledger_use(KNOWN, 5, 3, 2), rebuilt=rebuilt)
    cost_of = VerificationCost(ledger=use, cost=cost, untimed=untimed)
    assert forecast(cost_of, NOW) == f"{said}{SPARED}; saves about 4.0 s of building"


def held(name: str, nar_hash: str = "sha256-a") -> Held:
    return Held(name, nar_hash, f"nar/{name}", 10, frozenset())


def test_what_has_become_of_the_verified_cache() -> None:
    """What is put in and taken out again was never there, and what has other content now is new."""
    before = {"same": held("same"), "gone": held("gone"), "other": held("other")}
    after = {"same": held("same"), "other": held("other", "sha256-b"), "new": held("new")}
    assert verified_use(before, after, 4) == VerifiedUse(paths=3, bytes=30, added=2, removed=2, left_out=4)
    assert verified_use(before, before, 0) == VerifiedUse(paths=3, bytes=30)
    twice = {"a": held("a"), "b": replace(held("b"), archive="nar/a")}
    assert verified_use({}, twice, 0) == VerifiedUse(paths=2, bytes=10, added=2)


def test_how_that_is_said() -> None:
    assert kept(VerifiedUse(paths=1, bytes=30)) == "verified cache of 1 path, 30 B"
    assert kept(VerifiedUse(paths=1200, bytes=3_000_000, added=3, removed=2, left_out=1)) == (
        "verified cache of 1,200 paths, 3.0 MB (3 added, 2 removed, 1 without room)"
    )
