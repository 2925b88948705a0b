"""Rebuild with Nix's own `--check`: the last resort, because of what it cannot see.

It reports the first differing output only, compares nothing for content-addressed derivations, and without a sandbox
builds at another path and rewrites it, so that a compressed self-reference "differs". Each of these is `unverified`
with its reason here, never a verdict; but what differs between two checks, which build at the same path, is divergent.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from nix_repro.build.blame import rooted
from nix_repro.build.outcome import failure_of, mismatch_of, why_not
from nix_repro.build.rebuild.attempts import keep_directory, not_built, refused_answer
from nix_repro.build.rebuild.copying import copy_tree
from nix_repro.build.rebuild.inputs import on_other_inputs, realise_inputs
from nix_repro.build.rebuild.protocol import ISOLATION, STRICT, Answer, Request
from nix_repro.build.variations import GAP, TIME_GAP
from nix_repro.files import remove_tree
from nix_repro.nix.command import Nix
from nix_repro.nix.derivation import Derivation
from nix_repro.nix.graph import levels
from nix_repro.nix.log.recorder import CLOCK_SLACK, Activity, Recorder, waiting
from nix_repro.nix.nar import nar_hash
from nix_repro.observations import Attempt, Seen, Tree
from nix_repro.reasons import (
    CONTENT_ADDRESSED,
    FIRST_OUTPUT_ONLY,
    INPUT_CHANGED,
    NO_EVENT,
    NOT_KEPT,
    PATH_REWRITING,
    STORE_CHANGED,
    Reason,
)
from nix_repro.report import Status

#: What Nix says where it cannot have a sandbox and may not do without.
_NO_SANDBOX = "does not support the kernel namespaces that are required for sandboxing"


@dataclass(frozen=True)
class Kept:
    """The other side of an output that differs, out of the store."""

    output: str
    seen: Seen
    tree: Tree


@dataclass(frozen=True)
class Checked:
    """What a check of a derivation left: what was recorded of it, and the other sides of what differs. `against` is the
    check that they differ from, where that is not the first build."""

    recorder: Recorder
    kept: Sequence[Kept] = ()
    against: Attempt | None = None


class NixCheck:
    """Every check takes the registered inputs and is compared with what is registered."""

    name = "nix-check"
    alone = True
    isolates = False
    elsewhere = False
    varies: frozenset[str] = frozenset()

    def __init__(self, nix: Nix) -> None:
        self._nix = nix
        self._alone = nix.with_options([*ISOLATION, *STRICT])
        self._sandbox = True

    def rebuild(self, request: Request, recorder: Recorder) -> Answer:
        if (refused := refused_answer(self, request)) is not None:
            return refused
        spoilt = self._spoilt(request)
        good = _without(request, spoilt)
        before = recorder.failures()
        doubtful = self._check(good, recorder)
        if self._sandbox and any(_NO_SANDBOX in words for words in recorder.said.errors):
            # Then the first build was without one, too: it was this Nix, here.
            self._sandbox, self._alone = False, self._nix.with_options(ISOLATION)
            recorder.forget_failures(before)
            doubtful = self._check(good, recorder)
        found = self._take(good, recorder, keep_directory(request))
        system, sandbox = self._nix.settings()["system"], self._in_sandbox()
        moved = {drv.drv_path for drv in good.targets if rewrites_paths(drv, system, sandbox)}
        proved = self._check_again(good, {path: found[path] for path in moved if found[path].kept}, recorder)
        cancelled = self._nix.processes.stopped()
        attempts = [
            attempt_of(
                drv,
                good,
                proved.get(drv.drv_path, found[drv.drv_path]),
                rewritten=drv.drv_path in moved - proved.keys(),
                unsure=cancelled or drv.drv_path in doubtful,
                cancelled=cancelled,
            )
            for drv in good.targets
        ]
        for drv in request.targets:
            if (reason := spoilt.get(drv.drv_path)) is not None:
                attempts += not_built([drv], request.round, reason, isolated=request.isolated)
        trees = {
            (path, one.output): one.tree
            for path, check in {**found, **proved}.items()
            if path not in moved - proved.keys()
            for one in check.kept
        }
        return Answer(tuple(rooted(attempts, {d.drv_path: d for d in request.targets}, recorder)), trees)

    def _spoilt(self, request: Request) -> dict[str, Reason]:
        """What cannot be compared with the first build, and why: the store has something else in its place, or in an
        input's."""
        compared = tuple(drv for drv in request.targets if compares(drv, request.first[drv.drv_path]))
        realise_inputs(self._nix, compared, Recorder())
        now = self._nix.valid_hashes(request.made())
        inputs = on_other_inputs(self._nix, replace(request, targets=compared), now)
        changed = [d.drv_path for d in compared if not request.made_by(d).items() <= now.items()]
        return dict.fromkeys(inputs, INPUT_CHANGED) | dict.fromkeys(changed, STORE_CHANGED)

    def _check(self, request: Request, recorder: Recorder) -> set[str]:
        """Check what is not content-addressed. Returns that of which silence is no pass."""
        checkable = {drv.drv_path: drv for drv in request.targets if not drv.floating}
        args = ["--check", "--keep-going", *self._keeping(), *request.limits.args()]
        doubtful: set[str] = set()
        # A level at a time: in one command a derivation is not checked when one that it depends on differs.
        for level in levels(checkable, checkable):
            named = recorder.said.named()
            code = self._alone.stream(recorder.feed, "nix-store", "--realise", *args, paths=level).returncode
            recorder.exited(code)
            # Nix failed, and not only over derivations that it names: then nothing that it does not name is a pass.
            if code != 0 and (recorder.said.unexplained or recorder.said.named() == named):
                doubtful.update(level)
        return doubtful

    def _check_again(self, request: Request, first: Mapping[str, Checked], recorder: Recorder) -> dict[str, Checked]:
        """Check once more what differs after it was built at another path. Both checks build at the same one, so what
        differs between them does so by itself."""
        if not first or self._nix.processes.stopped():
            return {}
        with waiting(recorder.watcher, GAP):
            self._nix.processes.pause(TIME_GAP)
        once_more = replace(request, targets=tuple(drv for drv in request.targets if drv.drv_path in first))
        again = Recorder(watcher=recorder.watcher, disk_full=recorder.disk_full)
        self._check(once_more, again)
        second = self._take(once_more, again, keep_directory(request) / "again")
        both = ((drv.drv_path, apart(drv, first[drv.drv_path], second[drv.drv_path])) for drv in once_more.targets)
        return {path: found for path, found in both if found is not None}

    def _take(self, request: Request, recorder: Recorder, directory: Path) -> dict[str, Checked]:
        """Remove the other sides of what differs from the store, and have them where they say something."""
        with self._nix.processes.shielded():
            return {
                drv.drv_path: Checked(recorder, list(_taken(drv, request, recorder, directory)))
                for drv in request.targets
            }

    def _in_sandbox(self) -> str:
        """Nix's setting `sandbox`, as far as it has effect: what a daemon does not take from this user does not."""
        nix = self._nix
        if not self._sandbox:
            return "false"
        settings = {**nix.settings(), **dict(self._alone.options)} if nix.trusted() else nix.system_settings()
        return str(settings.get("sandbox")).lower()

    def _keeping(self) -> tuple[str, ...]:
        """Have Nix keep the other side: it does so for a diff-hook, and for who keeps what failed, which leaves build
        directories too."""
        nothing = shutil.which("true")
        # Nix runs the hook as another user, which one who builds without a daemon and is not root cannot have it do.
        alone = os.getuid() != 0 and os.access(self._nix.store_dir(), os.W_OK)
        if nothing is None or alone or not self._nix.trusted():
            return ("--keep-failed",)
        return ("--option", "run-diff-hook", "true", "--option", "diff-hook", nothing)


def compares(drv: Derivation, first: Attempt) -> bool:
    """Whether Nix compares anything: it does not where the path follows from the content."""
    return not drv.floating and len(first.outputs) == sum(o.path is not None for o in drv.outputs.values())


def rewrites_paths(drv: Derivation, system: str, sandbox: str) -> bool:
    """Whether the second build is at another path. `sandbox` is Nix's setting: true, false or relaxed."""
    return "darwin" in system or sandbox == "false" or (sandbox == "relaxed" and drv.leaves_sandbox)


def kept_outputs(drv: Derivation, request: Request, recorder: Recorder) -> list[str]:
    """The outputs that differ and whose other side Nix says it kept at their path and `.check`.

    A builder can word messages of any level (a line that starts with "@nix"): it must not choose what is read and
    removed.
    """
    first = request.first[drv.drv_path]
    if not compares(drv, first):
        return []
    said = {(output, other) for output, other in mismatch_of(drv, recorder)}
    return [name for name, seen in first.outputs.items() if (seen.path, f"{seen.path}.check") in said]


def made_by_nix(other: Path, since: float) -> bool:
    """Whether it was made by who owns the store, and not before: where builders are not in a sandbox, they can write
    beside their outputs, and an earlier check may have left something."""
    if not os.path.lexists(other):
        return False
    found = os.lstat(other)
    return found.st_uid == os.stat(other.parent).st_uid and found.st_ctime > since - CLOCK_SLACK


def _taken(drv: Derivation, request: Request, recorder: Recorder, directory: Path) -> Iterable[Kept]:
    activity = _check_of(drv, recorder)
    for name in kept_outputs(drv, request, recorder):
        was = request.first[drv.drv_path].outputs[name]
        other, to = Path(f"{was.path}.check"), directory / Path(was.path).name
        if activity is None or not made_by_nix(other, activity.started):
            continue
        with suppress(OSError):
            seen = Seen(was.path, nar_hash(other), "rebuilt", _origin(request))
            if seen.nar_hash != was.nar_hash:
                yield Kept(name, seen, Tree(Path(was.path), to, request.round))
                # What could not be copied is found out by its hash.
                copy_tree(other, to)
        _discard(other)


def apart(drv: Derivation, one: Checked, two: Checked) -> Checked | None:
    """What a second check at the same path found, as far as it differs from the first one."""
    before = {kept.output: kept for kept in one.kept}
    kept = [
        replace(now, tree=replace(now.tree, a=before[now.output].tree.b))
        for now in two.kept
        if now.output in before and before[now.output].seen.nar_hash != now.seen.nar_hash
    ]
    if not kept:
        return None
    started, seconds = _times(drv, one.recorder)
    outputs = {name: side.seen for name, side in before.items()}
    against = Attempt(drv.drv_path, kept[0].tree.round, "built", outputs, started=started, seconds=seconds)
    return Checked(two.recorder, kept, against)


def attempt_of(
    drv: Derivation, request: Request, found: Checked, *, rewritten: bool, unsure: bool, cancelled: bool
) -> Attempt:
    """What a check came to. `rewritten` says that it was at another path, `unsure` that silence is no pass."""
    first, recorder = request.first[drv.drv_path], found.recorder
    started, seconds = _times(drv, recorder)
    base = Attempt(
        drv.drv_path, request.round, "not-built", started=started, seconds=seconds, isolated=request.isolated
    )

    def built(seen: Mapping[str, Seen], others: Reason = FIRST_OUTPUT_ONLY) -> Attempt:
        missing = dict.fromkeys((output for output in drv.outputs if output not in seen), others)
        against = found.against or request.against(drv.drv_path)
        same_inputs = not request.isolated
        return replace(base, status="built", outputs=seen, missing=missing, same_inputs=same_inputs, against=against)

    def failed(status: Status, because: Reason, log: str | None = None) -> Attempt:
        return replace(base, status=status, missing=dict.fromkeys(drv.outputs, because), because=because, log=log)

    if not compares(drv, first):
        return failed("not-built", CONTENT_ADDRESSED)
    if mismatch_of(drv, recorder):
        if rewritten:
            return failed("not-built", PATH_REWRITING)
        return built({kept.output: kept.seen for kept in found.kept}, FIRST_OUTPUT_ONLY if found.kept else NOT_KEPT)
    activity = _check_of(drv, recorder)
    if unsure or activity is None or activity.stopped is None or failure_of(drv, recorder) is not None:
        status, because = why_not(drv, recorder, cancelled=cancelled, checking=True)
        never = activity is None and status == "not-built"
        return failed(status, NO_EVENT if never else because, recorder.log(drv.drv_path))
    origin = _origin(request)
    return built({name: Seen(seen.path, seen.nar_hash, "rebuilt", origin) for name, seen in first.outputs.items()})


def _without(request: Request, out: Collection[str]) -> Request:
    return replace(request, targets=tuple(drv for drv in request.targets if drv.drv_path not in out))


def _check_of(drv: Derivation, recorder: Recorder) -> Activity | None:
    return next((a for a in reversed([*recorder.builds, *recorder.checks]) if a.name == drv.drv_path), None)


def _times(drv: Derivation, recorder: Recorder) -> tuple[float | None, float | None]:
    activity = _check_of(drv, recorder)
    return (activity.started, activity.seconds) if activity else (None, None)


def _origin(request: Request) -> str:
    return f"round {request.round}, nix --check"


def _discard(other: Path) -> None:
    if os.access(other.parent, os.W_OK):
        with suppress(OSError):
            remove_tree(other)
