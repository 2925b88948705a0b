"""What a check would have to build again, and what the ledger saves it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack

import msgspec

from nix_repro.metrics.remembered import verification_cost
from nix_repro.parts import VerificationCost
from nix_repro.plan.planned import Foreseen, PlannedDerivation
from nix_repro.run import Run
from nix_repro.stages.remember import ask, demands, open_ledger
from nix_repro.verdict.evidence import Built, Recalled, foresee


def foretell(
    run: Run, derivations: Sequence[PlannedDerivation]
) -> tuple[tuple[PlannedDerivation, ...], VerificationCost]:
    """The derivations with what is known of them, and what verification will cost."""
    own = [derivation for derivation in derivations if derivation.scope_class == "own"]
    before: dict[str, list[Built]] = {}
    with ExitStack() as held:
        # Nothing is made: who plans does not check.
        if run.config.ledger is not None and (run.cwd / run.config.ledger).exists():
            open_ledger(run, held)
            ask(run, lambda ledger: before.update(ledger.about(d.drv_path for d in own)))
    known = _foreseen(run, own, before)
    told = {path: _known(recalled) for path, recalled in known.items()}
    return (
        tuple(msgspec.structs.replace(d, known=told.get(d.drv_path)) for d in derivations),
        verification_cost([d.drv_path for d in own], before, known, run.config.rounds),
    )


def _foreseen(run: Run, own: Sequence[PlannedDerivation], before: Mapping[str, Sequence[Built]]) -> dict[str, Recalled]:
    there = {d.drv_path: d.outputs for d in own if d.first_build == "present" and d.drv_path in before}
    stored = run.nix.valid_hashes(path for outputs in there.values() for path in outputs.values() if path is not None)
    wanted, found = demands(run, before), dict[str, Recalled]()
    for derivation in own:
        path = derivation.drv_path
        outputs = there.get(path)
        hashes = {name: stored.get(place or "", "") for name, place in outputs.items()} if outputs is not None else None
        built = derivation.first_build == "build"
        if (recalled := foresee(path, before.get(path, ()), hashes, wanted, built=built)) is not None:
            found[path] = recalled
    return found


def _known(recalled: Recalled) -> Foreseen:
    return "verified" if recalled.verified else "diverges" if recalled.diverges else "seen"
