"""Rebuild with Nix's own `--check`: the last resort, because of what it cannot see.

It reports the first differing output only, compares nothing for content-addressed derivations, and without a sandbox
builds at another path and rewrites it, so that a compressed self-reference "differs". Each of these is `unverified`
with its reason here, never a verdict.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from nix_repro.build.outcome import why_not
from nix_repro.build.rebuild.attempts import keep_directory, refused_answer
from nix_repro.build.rebuild.copying import copy_tree
from nix_repro.build.rebuild.inputs import realise_inputs
from nix_repro.build.rebuild.protocol import ISOLATION, Answer, Request
from nix_repro.nix.command import Nix, NixError
from nix_repro.nix.derivation import Derivation
from nix_repro.nix.graph import levels
from nix_repro.nix.log.recorder import Recorder
from nix_repro.observations import Attempt, Seen, Tree
from nix_repro.reasons import CONTENT_ADDRESSED, FIRST_OUTPUT_ONLY, NO_EVENT, NOT_KEPT, PATH_REWRITING, Reason


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
            done = self._alone.stream(recorder.feed, "nix-store", "--realise", *args, *level)
            # Nix failed, and not only over derivations that it names: then nothing that it does not name is a pass.
            if done.returncode != 0 and recorder.unexplained:
                doubtful.update(level)
        trees: dict[tuple[str, str], Tree] = {}
        with nix.processes.shielded():
            attempts = tuple(self._attempt(drv, request, recorder, trees, doubtful) for drv in request.targets)
        return Answer(attempts, trees)

    def _attempt(
        self,
        drv: Derivation,
        request: Request,
        recorder: Recorder,
        trees: dict[tuple[str, str], Tree],
        doubtful: set[str],
    ) -> Attempt:
        first = request.first[drv.drv_path]
        origin = f"round {request.round}, nix --check"
        activity = next((a for a in reversed([*recorder.builds, *recorder.checks]) if a.name == drv.drv_path), None)
        seconds = round(activity.stopped - activity.started, 3) if activity and activity.stopped is not None else None
        started = activity.started if activity else None

        def attempt(seen: dict[str, Seen], missing: dict[str, Reason]) -> Attempt:
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

        def failed(because: Reason) -> Attempt:
            missing = dict.fromkeys(drv.outputs, because)
            return Attempt(
                drv.drv_path, request.round, "not-built", {}, missing, because=because, started=started, seconds=seconds
            )

        if drv.floating or len(first.outputs) != sum(o.path is not None for o in drv.outputs.values()):
            return failed(CONTENT_ADDRESSED)
        if (mismatch := recorder.mismatches.get(drv.drv_path)) is not None:
            if self._rewrites_paths(drv):
                _discard(mismatch, first)
                return failed(PATH_REWRITING)
            return attempt(*self._mismatch(drv, request, first, mismatch, origin, trees))
        unfinished = (
            activity is None or activity.stopped is None or drv.drv_path in doubtful or self._nix.processes.stopped()
        )
        if unfinished or recorder.failure_of(drv.drv_path) is not None:
            status, because = why_not(drv, recorder, cancelled=self._nix.processes.stopped())
            if activity is None and status == "not-built":
                because = NO_EVENT
            log, missing = recorder.log(drv.drv_path), dict.fromkeys(drv.outputs, because)
            return Attempt(drv.drv_path, request.round, status, {}, missing, because, started, seconds, log)
        return attempt(
            {name: Seen(seen.path, seen.nar_hash, "rebuilt", origin) for name, seen in first.outputs.items()}, {}
        )

    def _mismatch(
        self,
        drv: Derivation,
        request: Request,
        first: Attempt,
        mismatch: tuple[str, str | None],
        origin: str,
        trees: dict[tuple[str, str], Tree],
    ) -> tuple[dict[str, Seen], dict[str, Reason]]:
        path, other = mismatch
        name = next((name for name, seen in first.outputs.items() if seen.path == path), None)
        missing = {output: FIRST_OUTPUT_ONLY for output in drv.outputs if output != name}
        if name is None or other is None or not _is_ours(mismatch, first):
            return {}, dict.fromkeys(drv.outputs, NOT_KEPT)
        try:
            digest = self._nix.run("nix", "hash", "path", "--sri", other).strip()
        except NixError:
            digest = self._nix.run("nix", "hash", "path", other).strip()
        kept = keep_directory(request) / Path(path).name
        copy_tree(other, kept)
        trees[drv.drv_path, name] = Tree(Path(first.outputs[name].path), kept, request.round)
        _discard(mismatch, first)
        return {name: Seen(path, digest, "rebuilt", origin)}, missing

    def _keeping(self) -> tuple[str, ...]:
        """Have Nix keep the other side: it does so for a diff-hook, and for who keeps what failed, which leaves build
        directories too."""
        nothing = shutil.which("true")
        if nothing is None or not self._nix.trusted():
            return ("--keep-failed",)
        return ("--option", "run-diff-hook", "true", "--option", "diff-hook", nothing)

    def _rewrites_paths(self, drv: Derivation) -> bool:
        settings = self._nix.settings()
        sandbox = str(dict(self._alone.options).get("sandbox", settings.get("sandbox"))).lower()
        return "darwin" in settings["system"] or sandbox == "false" or (sandbox == "relaxed" and drv.leaves_sandbox)


def _is_ours(mismatch: tuple[str, str | None], first: Attempt) -> bool:
    """A builder can word messages of any level (a line that starts with "@nix"): it must not choose what is read and
    removed."""
    path, other = mismatch
    return (
        any(seen.path == path for seen in first.outputs.values())
        and other == f"{path}.check"
        and os.path.lexists(other)
    )


def _discard(mismatch: tuple[str, str | None], first: Attempt) -> None:
    other = Path(mismatch[1] or "")
    if _is_ours(mismatch, first) and os.access(other.parent, os.W_OK):
        shutil.rmtree(other, ignore_errors=True) if other.is_dir() and not other.is_symlink() else other.unlink()
