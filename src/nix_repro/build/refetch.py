"""Fixed-output derivations fetched once more: their hash is all that Nix looks at, so that who has what once had it
never learns that its source gives something else now."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from nix_repro.build.limits import Limits
from nix_repro.build.outcome import complete, failure_of, present_outputs, why_not
from nix_repro.build.rebuild.inputs import input_installables
from nix_repro.build.rebuild.protocol import ISOLATION
from nix_repro.nix.caches.resilient import Realiser
from nix_repro.nix.derivation import Derivation
from nix_repro.nix.log.recorder import Recorder
from nix_repro.reasons import Reason


def fetch_again(
    realiser: Realiser, derivations: Sequence[Derivation], limits: Limits, new_recorder: Callable[[], Recorder]
) -> dict[str, Reason]:
    """Have their builders fetch, and no cache: what they fail of, by .drv path. What is there, Nix checks, which leaves
    it as it is; what is not is there afterwards, if it is what its hash says."""
    if inputs := input_installables(derivations):
        realiser.realise(["--keep-going", *limits.args()], inputs, new_recorder())
    present = present_outputs(realiser.nix, derivations)
    there = [drv for drv in derivations if complete(drv, present)]
    others = [drv for drv in derivations if drv not in there]
    alone = realiser.nix.with_options(ISOLATION)
    found: dict[str, Reason] = {}
    for some, args in ((there, ["--check"]), (others, [])):
        recorder = new_recorder()
        for batch in alone.batches([drv.drv_path for drv in some]):
            command = ["nix-store", "--realise", "--keep-going", *args, *limits.args()]
            recorder.exited(alone.stream(recorder.feed, *command, paths=batch).returncode)
            recorder.ended()
        failed = [drv for drv in some if failure_of(drv, recorder, missing=not args) is not None]
        cancelled = alone.processes.stopped()
        found |= {drv.drv_path: why_not(drv, recorder, cancelled=cancelled, checking=bool(args))[1] for drv in failed}
    return found
