"""What `nix-repro plan` prints: what would be built, fetched from which cache, and rebuilt."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from nix_repro.output.render.escape import visible
from nix_repro.output.render.savings import forecast
from nix_repro.output.render.screen import Screen
from nix_repro.plan.planned import Planned, PlannedDerivation

#: Names listed under each heading, unless all are wanted.
LISTED = 30


def print_plan(planned: Planned, *, verbose: bool = False, now: datetime | None = None) -> None:
    """The plan for a person who looks at it `now`. `verbose` names every derivation, with its path."""
    out = Screen()
    groups: dict[str, list[PlannedDerivation]] = {"would be built": []}
    for derivation in planned.derivations:
        if derivation.first_build is not None:
            groups.setdefault(_first_build(derivation), []).append(derivation)
    there = groups.pop(_PRESENT, [])
    compared = [derivation for derivation in planned.derivations if derivation.scope_class == "own"]
    groups |= {
        _PRESENT: there,
        "would be rebuilt and compared": [derivation for derivation in compared if derivation.known != "verified"],
        "would not be rebuilt: verified before": [d for d in compared if d.known == "verified"],
        "known to diverge": [derivation for derivation in compared if derivation.known == "diverges"],
    }
    left_out: dict[str, list[PlannedDerivation]] = {}
    for derivation in planned.derivations:
        if derivation.reason is not None:
            left_out.setdefault(f"would not be rebuilt: {visible(derivation.reason)}", []).append(derivation)
    groups |= dict(sorted(left_out.items(), key=lambda group: -len(group[1])))
    for title, derivations in groups.items():
        _section(out, title, derivations, verbose=verbose)
    if planned.verification is not None and compared:
        out.say(forecast(planned.verification, now or datetime.now(UTC)), "bold", 0, 2)


_PRESENT = "already in the store"


def _first_build(derivation: PlannedDerivation) -> str:
    match derivation.first_build:
        case "fetch":
            return f"would be fetched from {visible(derivation.cache or '')}"
        case "present":
            return _PRESENT
        case _:
            return "would be built"


def _section(out: Screen, title: str, derivations: Sequence[PlannedDerivation], *, verbose: bool) -> None:
    if not derivations:
        return
    out.say(f"{len(derivations):,} {title}:", "bold", 0, 2)
    for derivation in derivations if verbose else derivations[:LISTED]:
        path = f"  {visible(derivation.drv_path)}" if verbose else ""
        out.say(f"{visible(derivation.name)}{path}", "", 2, 4)
    if len(derivations) > LISTED and not verbose:
        out.say(f"and {len(derivations) - LISTED:,} more (-v names them)", "", 2)
