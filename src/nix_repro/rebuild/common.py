"""What all rebuilders share: the question, the answer, and the inputs that the second build stands on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from nix_repro.build import Limits, why_not
from nix_repro.drv import Derivation
from nix_repro.nix import Nix
from nix_repro.observe import Attempt, Seen, Tree
from nix_repro.plan import above
from nix_repro.recorder import Recorder
from nix_repro.report import Status, Variation

#: Options for every rebuild: nothing may be fetched or published, nothing may silently leave the sandbox.
ISOLATION: tuple[tuple[str, str], ...] = (
    ("substitute", "false"),
    ("post-build-hook", ""),
    ("builders", ""),
    ("sandbox-fallback", "false"),
    ("min-free", "0"),
)
INPUT_REBUILT = "an input outside the comparison had to be built again"
NO_EVENT = "no build was observed"


@dataclass(frozen=True)
class Change:
    """Something held different on purpose in a rebuild: settings and arguments for Nix, a wrapper that the helper knows by
    name, a build directory in memory."""

    options: tuple[tuple[str, str], ...] = ()
    args: tuple[str, ...] = ()
    under: str = ""
    memory_build_dir: bool = False


@dataclass(frozen=True)
class Request:
    """Build these again. `first` are the first builds of everything, `keep` is a directory for trees that differ.

    Inputs that are not targets themselves are taken as the first build left them: that is what makes a request for a
    single derivation an isolated one.
    """

    targets: tuple[Derivation, ...]
    first: Mapping[str, Attempt]
    round: int
    limits: Limits
    keep: Path
    isolated: bool = False
    change: Change = Change()


@dataclass(frozen=True)
class Answer:
    """What came of it, in the terms of the run's observations."""

    attempts: tuple[Attempt, ...]
    trees: Mapping[tuple[str, str], Tree]


class Rebuilder(Protocol):
    """An independent repetition of builds. `isolates` says whether a repetition with the first build's inputs can be had."""

    name: str
    variations: tuple[Variation, ...]
    isolates: bool

    def rebuild(self, request: Request, recorder: Recorder) -> Answer:
        """Raises `NixError` when the repetition as a whole cannot be had."""
        ...


def input_installables(targets: Sequence[Derivation]) -> list[str]:
    """The outputs of other derivations that the targets are built from, as `DRV!out,dev`."""
    own = {drv.drv_path for drv in targets}
    wanted: dict[str, set[str]] = {}
    for drv in targets:
        for input_drv, outputs in drv.input_drvs.items():
            if input_drv not in own:
                wanted.setdefault(input_drv, set()).update(outputs)
    return [f"{drv_path}!{','.join(sorted(outputs))}" for drv_path, outputs in sorted(wanted.items())]


def realise_inputs(nix: Nix, targets: Sequence[Derivation], recorder: Recorder) -> list[str]:
    """Have the build inputs in the store (a substituted target does not bring them) and say where they are."""
    wanted = input_installables(targets)
    sources = [src for drv in targets for src in drv.input_srcs]
    if not wanted:
        return list(dict.fromkeys(sources))
    done = nix.stream(recorder.feed, "nix-store", "--realise", "--keep-going", *wanted)
    return list(dict.fromkeys([*sources, *done.stdout.decode("utf-8", "replace").split()]))


def batches(
    nix: Nix, targets: Sequence[Derivation], first: Mapping[str, Attempt], recorder: Recorder
) -> Iterable[tuple[list[Derivation], list[str]]]:
    """The targets in groups, each with the closure of its inputs, such that no group's inputs hold the group's outputs.

    One group nearly always: a second is needed when something outside the targets was built from one of them.
    """
    group = list(targets)
    while group:
        closure = nix.requisites(realise_inputs(nix, group, recorder))
        present = set(closure)
        later = [drv for drv in group if any(seen.path in present for seen in first[drv.drv_path].outputs.values())]
        if not later or len(later) == len(group):
            yield group, closure
            return
        now = [drv for drv in group if drv not in later]
        yield now, nix.requisites(realise_inputs(nix, now, recorder))
        group = later


def on_rebuilt_inputs(request: Request, recorder: Recorder) -> set[str]:
    """The targets above a derivation that was built although it is not a target: its outputs are not the first build's.

    Nix does so for content-addressed inputs, whose place in the store a fresh database does not know.
    """
    targets = {drv.drv_path: drv for drv in request.targets}
    foreign = {activity.name for activity in recorder.builds} - targets.keys()
    return above(targets, foreign) if foreign else set()


def attempts_of(
    request: Request,
    paths: Mapping[str, Mapping[str, str]],
    hashes: Mapping[str, str],
    recorder: Recorder,
    place: str,
    *,
    cancelled: bool,
    touched: Mapping[str, float | None] = {},
    reasons: Mapping[str, str] = {},
) -> list[Attempt]:
    """What a rebuild of the request's targets came to. `paths` are their outputs by .drv path and output name, `hashes`
    the narHashes of those that are there, `touched` when the outputs were last changed, `reasons` what speaks
    against single derivations' rebuilds."""
    origin = f"round {request.round}, {place}" + (", the first build's inputs" if request.isolated else "")
    against = {**dict.fromkeys(on_rebuilt_inputs(request, recorder), INPUT_REBUILT), **reasons}
    recorder.correct_ends(touched, {drv.drv_path: drv.input_drvs for drv in request.targets})
    attempts = []
    for drv in request.targets:
        attempt = _attempt_of(drv, request, paths[drv.drv_path], hashes, recorder, origin, cancelled=cancelled)
        if (reason := against.get(drv.drv_path)) is not None:
            attempt = replace(attempt, status="not-built", outputs={}, missing=dict.fromkeys(drv.outputs, reason), because=reason)
        attempts.append(attempt)
    return attempts


def _attempt_of(
    drv: Derivation,
    request: Request,
    paths: Mapping[str, str],
    hashes: Mapping[str, str],
    recorder: Recorder,
    origin: str,
    *,
    cancelled: bool,
) -> Attempt:
    """One derivation's rebuild: its hashes when a build was seen, otherwise why there are none."""
    activity = recorder.build_of(drv.drv_path)
    seen = {name: Seen(path, hashes[path], "rebuilt", origin) for name, path in paths.items() if path in hashes}
    started = activity.started if activity else None
    seconds = round(activity.stopped - activity.started, 3) if activity and activity.stopped is not None else None
    if activity is not None and len(seen) == len(drv.outputs):
        return Attempt(drv.drv_path, request.round, "built", seen, started=started, seconds=seconds, isolated=request.isolated)
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
    )


def differing(request: Request, attempts: Iterable[Attempt]) -> Iterator[tuple[tuple[str, str], Seen, Seen]]:
    """The outputs whose content is not the first build's: (.drv path, output name), the first build's, the rebuild's."""
    for attempt in attempts:
        first = request.first[attempt.drv_path].outputs
        for name, seen in attempt.outputs.items():
            if name in first and first[name].nar_hash != seen.nar_hash:
                yield (attempt.drv_path, name), first[name], seen


def keep_directory(request: Request) -> Path:
    """Where this request's differing trees go: a rebuild of another round must not meet them."""
    return request.keep / f"round-{request.round}{'-isolated' if request.isolated else ''}"


def by_groups(nix: Nix, request: Request, recorder: Recorder, rebuild: Callable[[Request, list[str]], Answer]) -> Answer:
    """Rebuild the request group by group (see `batches`) and put the answers together."""
    attempts: list[Attempt] = []
    trees: dict[tuple[str, str], Tree] = {}
    for group, closure in batches(nix, request.targets, request.first, Recorder(watcher=recorder.watcher)):
        answer = rebuild(replace(request, targets=tuple(group)), closure)
        attempts += answer.attempts
        trees |= answer.trees
    return Answer(tuple(attempts), trees)
