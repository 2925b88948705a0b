"""Whether the base has a divergence too, or the change brought it. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from nix_repro.nix.store_path import store_name
from nix_repro.parts import OnBase
from nix_repro.plan.against import Against
from nix_repro.report import Verdict


class Precedent(NamedTuple):
    """What is known of a derivation of the base: its verdict, with the reason where it has one, and who says so."""

    verdict: Verdict
    reason: str | None
    source: str


#: What is known of a derivation of the base, by its .drv path.
Precedents = Callable[[str], Iterable[Precedent]]
#: Which of them counts most: a difference that was seen is there, whoever has seen none.
_ORDER: tuple[Verdict, ...] = ("divergent", "reproducible", "rebuild-failed", "build-failed", "unverified")


def counterparts(divergent: Iterable[str], against: Against) -> dict[str, str]:
    """What stands on the base in the place of those divergent derivations that the base does not have as they are."""
    pairs, out = against.comparison.pairs, against.known | against.unsure
    found = {path: pairs.get(path) for path in divergent if path not in out}
    return {path: other for path, other in found.items() if other is not None}


def on_base(drv_path: str, against: Against | None, precedents: Precedents) -> OnBase:
    """Whether the base has the divergence of a derivation too. The same derivation diverges there by construction."""
    if against is None:
        return _unknown(None, "there is no base to compare with")
    if drv_path in against.base.derivations:
        return OnBase(standing="old", drv_path=drv_path, because="it is the same derivation there")
    if drv_path in against.comparison.same:
        because = "what stands there in its place makes the same outputs of the same inputs"
        return OnBase(standing="old", drv_path=None, because=because)
    if drv_path not in against.comparison.pairs:
        return _unknown(None, f"it is below nothing that was compared with {against.base.name}")
    other = against.comparison.pairs[drv_path]
    if other is None:
        because = f"in {against.base.name}, nothing stands in its place"
        return OnBase(standing="new", drv_path=None, because=because)
    if drv_path in against.unsure:
        return _unknown(None, f"in {against.base.name}, several derivations have its name")
    there = f"{store_name(other)}, which stands there in its place,"
    found = min(precedents(other), key=lambda precedent: _ORDER.index(precedent.verdict), default=None)
    match found:
        case None:
            return _unknown(other, f"what stands there in its place, {store_name(other)}, was not built twice")
        case Precedent("divergent", _, source):
            return OnBase(standing="old", drv_path=other, because=f"{there} diverges ({source})")
        case Precedent("reproducible", _, source):
            because = f"no difference was found in {there[:-1]} ({source})"
            return OnBase(standing="new", drv_path=other, because=because)
        case Precedent(verdict, reason, source):
            why = f": {reason}" if reason else ""
            return _unknown(other, f"{there} is {verdict}{why} ({source})")


def affordable(wanted: Iterable[str], cost: Mapping[str, float], budget: float) -> list[str]:
    """As many of these, in their order, as can be built within so many seconds, as far as is known what they cost."""
    found: list[str] = []
    for path in wanted:
        if (left := budget - cost.get(path, 0.0)) >= 0:
            found.append(path)
            budget = left
    return found


def _unknown(drv_path: str | None, because: str) -> OnBase:
    return OnBase(standing="unknown", drv_path=drv_path, because=because)
