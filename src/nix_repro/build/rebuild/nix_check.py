"""Rebuild with Nix's own `--check`: the last resort, because of what it cannot see.

It reports the first differing output only, compares nothing for content-addressed derivations, and without a sandbox
builds at another path and rewrites it, so that a compressed self-reference "differs". Each of these is `unverified`
with its reason here, never a verdict.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from nix_repro.build.outcome import failure_of, mismatch_of, rooted, why_not
from nix_repro.build.rebuild.attempts import keep_directory, refused_answer
from nix_repro.build.rebuild.copying import copy_tree
from nix_repro.build.rebuild.inputs import realise_inputs
from nix_repro.build.rebuild.protocol import ISOLATION, Answer, Request
from nix_repro.files import remove_tree
from nix_repro.nix.command import Nix, NixError
from nix_repro.nix.derivation import Derivation
from nix_repro.nix.graph import levels
from nix_repro.nix.log.recorder import CLOCK_SLACK, Activity, Recorder
from nix_repro.observations import Attempt, Seen, Tree
from nix_repro.reasons import CONTENT_ADDRESSED, FIRST_OUTPUT_ONLY, NO_EVENT, NOT_KEPT, PATH_REWRITING, Reason
from nix_repro.report import Status


@dataclass(frozen=True)
class Kept:
    """The other side of an output that differs, out of the store."""

    output: str
    seen: Seen
    tree: Tree


class NixCheck:
    """Every check takes the registered inputs, so each is isolated by itself."""

    name = "nix-check"
    isolates = False
    elsewhere = False
    varies: frozenset[str] = frozenset()

    def __init__(self, nix: Nix) -> None:
        self._nix = nix
        self._alone = nix.with_options(ISOLATION)

    def rebuild(self, request: Request, recorder: Recorder) -> Answer:
        if (refused := refused_answer(self, request)) is not None:
            return refused
        nix = self._nix
        checkable = {drv.drv_path: drv for drv in request.targets if not drv.floating}
        realise_inputs(nix, list(checkable.values()), Recorder(watcher=recorder.watcher))
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
        with nix.processes.shielded():
            return self._answer(request, recorder, doubtful)

    def _answer(self, request: Request, recorder: Recorder, doubtful: set[str]) -> Answer:
        settings, options = self._nix.settings(), dict(self._alone.options)
        system, sandbox = settings["system"], str(options.get("sandbox", settings.get("sandbox"))).lower()
        cancelled = self._nix.processes.stopped()
        attempts: list[Attempt] = []
        trees: dict[tuple[str, str], Tree] = {}
        for drv in request.targets:
            rewritten = rewrites_paths(drv, system, sandbox)
            kept = self._take(drv, request, recorder, rewritten=rewritten)
            trees |= {(drv.drv_path, one.output): one.tree for one in kept}
            unsure = cancelled or drv.drv_path in doubtful
            attempts.append(
                attempt_of(drv, request, recorder, kept, rewritten=rewritten, unsure=unsure, cancelled=cancelled)
            )
        return Answer(tuple(rooted(attempts, {d.drv_path: d for d in request.targets}, recorder)), trees)

    def _take(self, drv: Derivation, request: Request, recorder: Recorder, *, rewritten: bool) -> list[Kept]:
        """Remove the other side of what differs from the store, and have it where it says something."""
        found: list[Kept] = []
        activity = _check_of(drv, recorder)
        for name in kept_outputs(drv, request, recorder):
            was = request.first[drv.drv_path].outputs[name]
            other = Path(f"{was.path}.check")
            if activity is None or not made_by_nix(other, activity.started):
                continue
            if not rewritten and (nar_hash := self._hash(other)) != was.nar_hash:
                to = keep_directory(request) / Path(was.path).name
                copy_tree(other, to)
                seen = Seen(was.path, nar_hash, "rebuilt", _origin(request))
                found.append(Kept(name, seen, Tree(Path(was.path), to, request.round)))
            _discard(other)
        return found

    def _hash(self, path: Path) -> str:
        try:
            return self._nix.run("nix", "hash", "path", "--sri", paths=[str(path)]).strip()
        except NixError:
            return self._nix.run("nix", "hash", "path", paths=[str(path)]).strip()

    def _keeping(self) -> tuple[str, ...]:
        """Have Nix keep the other side: it does so for a diff-hook, and for who keeps what failed, which leaves build
        directories too."""
        nothing = shutil.which("true")
        if nothing is None or not self._nix.trusted():
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


def attempt_of(
    drv: Derivation,
    request: Request,
    recorder: Recorder,
    kept: Sequence[Kept],
    *,
    rewritten: bool,
    unsure: bool,
    cancelled: bool,
) -> Attempt:
    """What a check came to. `kept` are the other sides that could be read, `rewritten` says that the second build was
    at another path, `unsure` that silence is no pass."""
    first = request.first[drv.drv_path]
    activity = _check_of(drv, recorder)
    started, seconds = (activity.started, activity.seconds) if activity else (None, None)

    def built(seen: Mapping[str, Seen], missing: Mapping[str, Reason]) -> Attempt:
        return Attempt(
            drv.drv_path,
            request.round,
            "built",
            seen,
            missing,
            started=started,
            seconds=seconds,
            isolated=request.isolated,
        )

    def failed(status: Status, because: Reason, log: str | None = None) -> Attempt:
        missing = dict.fromkeys(drv.outputs, because)
        return Attempt(
            drv.drv_path, request.round, status, {}, missing, because, started, seconds, log, isolated=request.isolated
        )

    if not compares(drv, first):
        return failed("not-built", CONTENT_ADDRESSED)
    if mismatch_of(drv, recorder):
        if rewritten:
            return failed("not-built", PATH_REWRITING)
        if not kept:
            return built({}, dict.fromkeys(drv.outputs, NOT_KEPT))
        seen = {one.output: one.seen for one in kept}
        return built(seen, dict.fromkeys((o for o in drv.outputs if o not in seen), FIRST_OUTPUT_ONLY))
    if unsure or activity is None or activity.stopped is None or failure_of(drv, recorder) is not None:
        status, because = why_not(drv, recorder, cancelled=cancelled, checking=True)
        never = activity is None and status == "not-built"
        return failed(status, NO_EVENT if never else because, recorder.log(drv.drv_path))
    origin = _origin(request)
    return built({name: Seen(seen.path, seen.nar_hash, "rebuilt", origin) for name, seen in first.outputs.items()}, {})


def _check_of(drv: Derivation, recorder: Recorder) -> Activity | None:
    return next((a for a in reversed([*recorder.builds, *recorder.checks]) if a.name == drv.drv_path), None)


def _origin(request: Request) -> str:
    return f"round {request.round}, nix --check"


def _discard(other: Path) -> None:
    if os.access(other.parent, os.W_OK):
        with suppress(OSError):
            remove_tree(other)
