"""What a build came to, read off the store and off what Nix said."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from nix_repro.nix.command import Nix, NixError
from nix_repro.nix.derivation import Derivation
from nix_repro.nix.log.recorder import Activity, Recorder
from nix_repro.nix.log.words import Mismatch, disk_full, one_line, subject
from nix_repro.nix.store_path import StorePath
from nix_repro.observations import Attempt, Seen
from nix_repro.reasons import (
    BUILDER_FAILED,
    CANCELLED,
    CONTRADICTED,
    DEPENDENCY_FAILED,
    DISK_FULL,
    TIMED_OUT,
    UNSUPPORTED,
    Reason,
    said,
)
from nix_repro.report import Status

#: Lines of a builder's log in which it says what it died of.
LAST_WORDS = 20


def present_outputs(nix: Nix, derivations: Sequence[Derivation]) -> set[str]:
    """The output paths that are valid before anything is built."""
    paths = [o.path for drv in derivations for o in drv.outputs.values() if o.path is not None]
    return set(paths) - nix.invalid(paths)


def complete(drv: Derivation, present: Collection[str]) -> bool:
    """Whether every output of a derivation is known to be among these paths."""
    return all(output.path in present for output in drv.outputs.values())


def output_paths(nix: Nix, drv: Derivation) -> dict[str, str]:
    """Where the outputs of a derivation are, as far as it is known."""
    known = {name: output.path for name, output in drv.outputs.items() if output.path is not None}
    if len(known) == len(drv.outputs):
        return known
    try:
        found = nix.floating_outputs(drv.drv_path)
    except NixError:
        return known
    return known | {name: path for path in found if (name := drv.output_named(path)) is not None}


def last_touched(paths: Iterable[str]) -> float | None:
    """When the last of these outputs was made read-only, which ends its build; seconds since the epoch."""
    return max((os.lstat(path).st_ctime for path in paths if os.path.lexists(path)), default=None)


@dataclass(frozen=True)
class InStore:
    """What there is of derivations' outputs, by .drv path: `paths` says where each output is, as far as that is known,
    and `touched` when the last of them was made read-only. `hashes` are the narHashes of the paths that are valid."""

    paths: Mapping[str, Mapping[str, str]]
    hashes: Mapping[str, str]
    touched: Mapping[str, float | None]


def look(nix: Nix, derivations: Sequence[Derivation]) -> InStore:
    """What the store has of the outputs now."""
    paths = {drv.drv_path: output_paths(nix, drv) for drv in derivations}
    hashes = nix.valid_hashes(path for found in paths.values() for path in found.values())
    touched = {
        drv_path: last_touched(path for path in found.values() if path in hashes) for drv_path, found in paths.items()
    }
    return InStore(paths, hashes, touched)


def observe_build(
    left: InStore, derivations: Iterable[Derivation], present: set[str], recorder: Recorder, *, cancelled: bool
) -> list[Attempt]:
    """What the build came to, from what it left in the store and from what Nix said, and how each path came there.
    `present` are the paths that were valid before."""
    fetched = {activity.name: activity for activity in recorder.substitutions}

    def seen(drv: Derivation) -> dict[str, Seen]:
        built = recorder.build_of(drv.drv_path)
        return {
            name: _seen(path, left.hashes[path], *((None, None) if path in present else (built, fetched.get(path))))
            for name, path in left.paths[drv.drv_path].items()
            if path in left.hashes
        }

    return [_attempt_of(drv, seen(drv), recorder, cancelled=cancelled) for drv in derivations]


def _seen(path: str, nar_hash: str, built: Activity | None, fetched: Activity | None) -> Seen:
    # What could not be fetched was built in the end.
    if fetched is not None and (built is None or built.started < fetched.started):
        return Seen(path, nar_hash, "substituted", fetched.origin)
    if built is not None:
        return Seen(path, nar_hash, "built", built.origin or "round 1")
    return Seen(path, nar_hash, "present", "local store, valid before this run")


def _attempt_of(drv: Derivation, seen: Mapping[str, Seen], recorder: Recorder, *, cancelled: bool) -> Attempt:
    activity = recorder.build_of(drv.drv_path)
    started = activity.started if activity else None
    seconds = activity.seconds if activity else None
    if len(seen) == len(drv.outputs):
        return Attempt(drv.drv_path, 1, _status(seen), seen, started=started, seconds=seconds)
    status, because = why_not(drv, recorder, cancelled=cancelled)
    missing, log = dict.fromkeys(drv.outputs, because), recorder.log(drv.drv_path)
    return Attempt(drv.drv_path, 1, status, missing=missing, because=because, started=started, seconds=seconds, log=log)


def _status(seen: Mapping[str, Seen]) -> Status:
    sources = {s.source for s in seen.values()}
    if "built" in sources:
        return "built"
    return "substituted" if "substituted" in sources else "present"


def failure_of(drv: Derivation, recorder: Recorder, *, missing: bool = False) -> str | None:
    """The status that Nix's messages give a derivation, see `Recorder.failure_of`."""
    return recorder.failure_of(drv.drv_path, _outputs(drv), missing=missing)


def mismatch_of(drv: Derivation, recorder: Recorder) -> Sequence[Mismatch]:
    """The outputs that a check found different, see `Recorder.mismatch_of`."""
    return recorder.mismatch_of(drv.drv_path, _outputs(drv))


def rejection(drv: Derivation, recorder: Recorder) -> str | None:
    """Why Nix did not take what the derivation's builder made, in its own words, or None when it did not say so:
    outputs that refer to each other or to what they may not, that anybody may write to, that hold a pipe. Or why it did
    not even start the builder: because that may not leave the sandbox."""
    if (words := recorder.blame.get(drv.drv_path)) is not None:
        return words
    # It names the output, the .drv, or a place below the sandbox's root, HASH-NAME.drv.chroot.
    started = recorder.build_of(drv.drv_path) is not None
    own = {StorePath.of(path).digest for path in (drv.drv_path, *(_outputs(drv) if started else ()))}
    subjects = ((subject(text), text) for text in recorder.said.unexplained)
    mine = (text for name, text in subjects if name is not None and StorePath.of(recorder.known_as(name)).digest in own)
    return next(map(one_line, mine), None)


def _outputs(drv: Derivation) -> list[str]:
    return [output.path for output in drv.outputs.values() if output.path is not None]


def _disk_was_full(drv: Derivation, recorder: Recorder) -> bool:
    """Did Nix itself say so, or a builder in its last words, when that was so? What a builder says and survives is a
    test of it."""

    def died_of_it(name: str) -> bool:
        ended = name == drv.drv_path or recorder.failure_of(name) is not None
        return ended and disk_full("\n".join((recorder.log(name) or "").splitlines()[-LAST_WORDS:]))

    return recorder.said.full_disk or any(map(died_of_it, recorder.full_disk))


def why_not(drv: Derivation, recorder: Recorder, *, cancelled: bool, checking: bool = False) -> tuple[Status, Reason]:
    """Why a derivation has no outputs after a command that should have made them, or was not checked (`checking`)."""
    failure = failure_of(drv, recorder, missing=not checking)
    # One builder says "No space left", the next one fails for the same reason in other words.
    if failure in (None, "failed") and _disk_was_full(drv, recorder):
        return "disk-full", DISK_FULL
    if failure in (None, "failed") and (words := rejection(drv, recorder)) is not None:
        return "failed", said(words)
    match failure:
        case "failed":
            return "failed", _reason(drv, recorder, BUILDER_FAILED)
        case "timed-out":
            return "timed-out", TIMED_OUT
        case "dependency-failed":
            return "dependency-failed", DEPENDENCY_FAILED
        case "unsupported":
            return "failed", _reason(drv, recorder, UNSUPPORTED)
        case "contradicted":
            return "not-built", CONTRADICTED
        case "not-built":
            return "not-built", said(recorder.said.reasons.get(drv.drv_path, ""))
    if cancelled:
        return "cancelled", CANCELLED
    if not checking and (recorder.said.failures or recorder.said.failed):
        return "dependency-failed", DEPENDENCY_FAILED
    return "not-built", said(recorder.said.last_words())


def _reason(drv: Derivation, recorder: Recorder, otherwise: Reason) -> Reason:
    words = recorder.reason_of(drv.drv_path, _outputs(drv))
    return said(words) if words else otherwise
