"""The build: the first realisation that the run observes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nix_repro.build.limits import Limits
from nix_repro.build.outcome import failure_of, output_paths, rejection
from nix_repro.nix.caches.resilient import Realiser
from nix_repro.nix.command import Nix
from nix_repro.nix.derivation import Derivation
from nix_repro.nix.graph import above, in_order
from nix_repro.nix.log.recorder import Recorder
from nix_repro.nix.log.words import no_builder


def build(
    realiser: Realiser,
    targets: Sequence[str],
    derivations: Mapping[str, Derivation],
    limits: Limits,
    recorder: Recorder,
) -> None:
    """Realise every output of the targets; a failure takes its dependants out, the others go on.

    Over some failures Nix ends the whole command in spite of --keep-going (measured: a missing feature and outputs that
    refer to each other before 2.34, a pipe in an output and a builder that may not leave the sandbox with all three,
    and over some derivations 2.8 crashes): then it is asked for the rest again, and where it does not say over which
    derivation, for each alone.
    """
    failed: set[str] = set()
    left = list(targets)
    while left:
        known, done = failed, True
        for batch in realiser.nix.batches(left):
            # What one command has failed at, the next is not to try again.
            out = failed | above(derivations, failed)
            wanted = [path for path in batch if path not in out]
            done = realiser.realise(["--keep-going", *limits.args()], wanted, recorder) and done
            failed = _failures(derivations, recorder)
        if done:
            return
        out = failed | above(derivations, failed)
        left = _incomplete(realiser.nix, [derivations[path] for path in left if path not in out])
        if failed == known:
            if len(left) > 1:
                _each_alone(realiser, left, derivations, limits, recorder)
            return


def _each_alone(
    realiser: Realiser,
    targets: Sequence[str],
    derivations: Mapping[str, Derivation],
    limits: Limits,
    recorder: Recorder,
) -> None:
    """Find out over which of the targets Nix gives up without a name, and build the others."""
    wanted, out = set(targets), set[str]()
    last: str | None = None
    for drv_path in in_order(derivations):
        if drv_path not in wanted or drv_path in out:
            continue
        crashes = recorder.said.crashes
        realiser.realise(limits.args(), [drv_path], recorder)
        if not _incomplete(realiser.nix, [derivations[drv_path]]):
            last = None
            continue
        out |= {drv_path} | above(derivations, [drv_path])
        if failure_of(derivations[drv_path], recorder) is not None:
            continue
        words = recorder.said.last_words()
        again = last is not None and recorder.blame[last] == words and recorder.said.crashes == crashes
        if again or no_builder(words):
            # Twice the same is about the store, the disk, the daemon, and all others would say it too.
            if last is not None:
                recorder.acquit(last)
            return
        recorder.accuse(drv_path, words)
        last = drv_path


def _failures(derivations: Mapping[str, Derivation], recorder: Recorder) -> set[str]:
    """What is known to have failed. Where claims contradict each other, it has to be asked for alone."""
    open_ = (None, "contradicted")
    return {
        path for path, drv in derivations.items() if failure_of(drv, recorder) not in open_ or rejection(drv, recorder)
    }


def _incomplete(nix: Nix, derivations: Sequence[Derivation]) -> list[str]:
    paths = {drv.drv_path: set(output_paths(nix, drv).values()) for drv in derivations}
    invalid = nix.invalid(path for found in paths.values() for path in found)
    return [
        drv.drv_path
        for drv in derivations
        if len(paths[drv.drv_path]) < len(drv.outputs) or invalid & paths[drv.drv_path]
    ]
