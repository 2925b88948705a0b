"""What a rebuild came to, in the terms of the run's observations."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from nix_repro.build.blame import rooted
from nix_repro.build.outcome import why_not
from nix_repro.build.rebuild.protocol import Answer, Rebuilder, Request, refusal
from nix_repro.nix.derivation import Derivation
from nix_repro.nix.graph import above
from nix_repro.nix.log.recorder import Recorder
from nix_repro.observations import Attempt, Seen
from nix_repro.reasons import INPUT_REBUILT, NO_EVENT, Reason
from nix_repro.report import Status


def attempts_of(
    request: Request,
    paths: Mapping[str, Mapping[str, str]],
    hashes: Mapping[str, str],
    recorder: Recorder,
    place: str,
    *,
    cancelled: bool,
    reasons: Mapping[str, Reason] = {},
) -> list[Attempt]:
    """What a rebuild of the request's targets came to. `paths` are their outputs by .drv path and output name, `hashes`
    the narHashes of those that are there, `reasons` what speaks against single derivations' rebuilds."""
    speaks_against = {**dict.fromkeys(on_rebuilt_inputs(request, recorder), INPUT_REBUILT), **reasons}
    attempts = []
    for drv in request.targets:
        attempt = _attempt_of(drv, request, paths[drv.drv_path], hashes, recorder, place, cancelled=cancelled)
        reason = speaks_against.get(drv.drv_path)
        attempts.append(attempt if reason is None else attempt.discounted(reason))
    return rooted(attempts, {drv.drv_path: drv for drv in request.targets}, recorder)


def on_rebuilt_inputs(request: Request, recorder: Recorder) -> set[str]:
    """The targets above a derivation that was built although it is not a target: its outputs are not the first build's.

    Nix does so for content-addressed inputs whose place in the store it does not know.
    """
    targets = {drv.drv_path: drv for drv in request.targets}
    foreign = {activity.name for activity in recorder.builds} - targets.keys()
    return above(targets, foreign) if foreign else set()


def _attempt_of(
    drv: Derivation,
    request: Request,
    paths: Mapping[str, str],
    hashes: Mapping[str, str],
    recorder: Recorder,
    place: str,
    *,
    cancelled: bool,
) -> Attempt:
    """One derivation's rebuild: its hashes when a build was seen, otherwise why there are none."""
    against = request.against(drv.drv_path)
    origin = f"round {request.round}, {place}"
    if request.isolated:
        origin += f", the same inputs as in round {against.round}" if against else ", the first build's inputs"
    activity = recorder.build_of(drv.drv_path)
    seen = {name: Seen(path, hashes[path], "rebuilt", origin) for name, path in paths.items() if path in hashes}
    started, seconds = (activity.started, activity.seconds) if activity else (None, None)
    if activity is not None and len(seen) == len(drv.outputs):
        return Attempt(
            drv.drv_path,
            request.round,
            "built",
            seen,
            started=started,
            seconds=seconds,
            isolated=request.isolated,
            against=against,
            varied=request.condition.parts,
        )
    status: Status
    status, because = ("not-built", NO_EVENT) if seen else why_not(drv, recorder, cancelled=cancelled)
    return Attempt(
        drv.drv_path,
        request.round,
        status,
        missing=dict.fromkeys(drv.outputs, because),
        because=because,
        started=started,
        seconds=seconds,
        log=recorder.log(drv.drv_path),
        isolated=request.isolated,
        varied=request.condition.parts,
    )


def not_built(
    derivations: Iterable[Derivation], round_number: int, because: Reason, *, isolated: bool = False
) -> list[Attempt]:
    """Attempts that were none, all for the same reason."""
    return [
        Attempt(
            drv.drv_path,
            round_number,
            "not-built",
            missing=dict.fromkeys(drv.outputs, because),
            because=because,
            isolated=isolated,
        )
        for drv in derivations
    ]


def refused_answer(rebuilder: Rebuilder, request: Request) -> Answer | None:
    """What comes of a request under a condition that the rebuilder cannot bring about, or None if it can: a rebuild
    without it would answer another question."""
    if (because := refusal(rebuilder, request.condition)) is None:
        return None
    attempts = not_built(request.targets, request.round, Reason(because), isolated=request.isolated)
    return Answer(tuple(attempts), {})


def differing(request: Request, attempts: Iterable[Attempt]) -> Iterator[tuple[tuple[str, str], Seen, Seen]]:
    """The outputs whose content is not that of the build to compare with: (.drv path, output name), that build's, the
    rebuild's."""
    for attempt in attempts:
        first = request.first[attempt.drv_path].outputs
        for name, seen in attempt.outputs.items():
            if name in first and first[name].nar_hash != seen.nar_hash:
                yield (attempt.drv_path, name), first[name], seen


def keep_directory(request: Request) -> Path:
    """Where this request's differing trees go: a rebuild of another round must not meet them."""
    return request.keep / f"round-{request.round}{'-isolated' if request.isolated else ''}"
