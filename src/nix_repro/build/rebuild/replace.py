"""Rebuild in the store itself: set the first build aside, delete it, realise it again, put the first build back.

Needs no privilege and no Linux, and sees every output; but for a while the store is without the paths, so it is the
default only where nobody else works with the store. What is rooted or referred to from outside cannot be deleted and
goes to `nix-check`.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

from nix_repro.build.outcome import last_touched, output_paths
from nix_repro.build.rebuild.attempts import attempts_of, differing, keep_directory, refused_answer
from nix_repro.build.rebuild.copying import copy_tree
from nix_repro.build.rebuild.inputs import by_groups
from nix_repro.build.rebuild.protocol import ISOLATION, Answer, Rebuilder, Request
from nix_repro.nix.command import Nix, NixError
from nix_repro.nix.derivation import Derivation
from nix_repro.nix.log.recorder import Recorder
from nix_repro.observations import Tree
from nix_repro.text import plural, some

_ALIVE = re.compile(r"[Cc]annot delete path '([^']+)'")


class Replace:
    """`release` drops the roots that this run itself holds on the targets, `otherwise` takes what cannot be deleted,
    `warn` hears what the user should know."""

    name = "replace"
    isolates = True
    elsewhere = False
    varies: frozenset[str] = frozenset()

    def __init__(
        self, nix: Nix, release: Callable[[], None], otherwise: Rebuilder, warn: Callable[[str], None]
    ) -> None:
        self._nix = nix
        self._alone = nix.with_options(ISOLATION)
        self._release = release
        self._otherwise = otherwise
        self._warn = warn

    def rebuild(self, request: Request, recorder: Recorder) -> Answer:
        if (refused := refused_answer(self, request)) is not None:
            return refused
        self._release()
        return by_groups(self._nix, request, recorder, lambda part, _: self._rebuild(part, recorder))

    def _rebuild(self, request: Request, recorder: Recorder) -> Answer:
        doomed = self._with_dependants(request.targets, request)
        aside = request.keep / f"first-{request.round}"
        aside.mkdir(parents=True)
        export = aside / "export" if self._nix.trusted() else None
        if export is not None:
            with export.open("wb") as file:
                self._nix.run_to(file, "nix-store", "--export", *doomed)
        else:
            for path in doomed:
                copy_tree(path, aside / Path(path).name)
        free: tuple[Derivation, ...] = ()
        try:
            stuck = self._delete(doomed)
            free = tuple(drv for drv in request.targets if not stuck & self._paths(drv, request))
            if free:
                drv_paths = [drv.drv_path for drv in free]
                self._alone.stream(
                    recorder.feed, "nix-store", "--realise", "--keep-going", *request.limits.args(), *drv_paths
                )
        finally:
            # Whatever came, a signal too: look at what there is, then put back what was there.
            with self._nix.processes.shielded():
                answer = self._compare(replace(request, targets=free), recorder, None if export else aside)
                self._put_back(doomed, request, export)
                if export is not None:
                    shutil.rmtree(aside)
        held = tuple(drv for drv in request.targets if drv not in free)
        if not held:
            return answer
        names = some(sorted(drv.name for drv in held), 5)
        self._warn(f"in use, so not to be replaced, and rebuilt by {self._otherwise.name} instead: {names}")
        rest = self._otherwise.rebuild(replace(request, targets=held), recorder)
        return Answer((*answer.attempts, *rest.attempts), {**answer.trees, **rest.trees})

    def _paths(self, drv: Derivation, request: Request) -> set[str]:
        return {seen.path for seen in request.first[drv.drv_path].outputs.values()}

    def _with_dependants(self, targets: Iterable[Derivation], request: Request) -> list[str]:
        """The targets' outputs, and those of this run's derivations that refer to them."""
        paths = {path for drv in targets for path in self._paths(drv, request)}
        ours = {seen.path for attempt in request.first.values() for seen in attempt.outputs.values()}
        referrers = set(self._nix.run("nix-store", "--query", "--referrers-closure", *paths).split())
        return sorted(paths | (referrers & ours))

    def _delete(self, doomed: list[str]) -> set[str]:
        """Delete in one call; paths that are alive keep everything below them alive and are returned with it."""
        stuck: set[str] = set()
        while True:
            invalid = self._nix.invalid(doomed)
            rest = [path for path in doomed if path not in stuck and path not in invalid]
            if not rest:
                return stuck
            try:
                self._nix.run("nix-store", "--delete", *rest)
            except NixError as error:
                found = _ALIVE.search(str(error))
                alive = found.group(1) if found else None
                if alive is None or alive in stuck:
                    raise
                stuck |= set(self._nix.requisites([alive])) | {alive}
            else:
                return stuck

    def _compare(self, request: Request, recorder: Recorder, aside: Path | None) -> Answer:
        paths = {drv.drv_path: output_paths(self._nix, drv) for drv in request.targets}
        hashes = self._nix.valid_hashes(path for found in paths.values() for path in found.values())
        cancelled = self._nix.processes.stopped()
        touched = {drv_path: last_touched(found.values()) for drv_path, found in paths.items()}
        attempts = attempts_of(request, paths, hashes, recorder, "in the store", cancelled=cancelled, touched=touched)
        trees: dict[tuple[str, str], Tree] = {}
        for key, was, now in differing(request, attempts):
            kept = keep_directory(request) / Path(now.path).name
            copy_tree(now.path, kept)
            trees[key] = Tree(aside / Path(was.path).name if aside else Path(was.path), kept, request.round)
        return Answer(tuple(attempts), trees)

    def _put_back(self, doomed: list[str], request: Request, export: Path | None) -> None:
        """Make the store hold the first build again, where it no longer does."""
        first = {seen.path: seen.nar_hash for a in request.first.values() for seen in a.outputs.values()}
        now = self._nix.valid_hashes(doomed)
        changed = [path for path in doomed if now.get(path) != first[path]]
        if not changed:
            return
        if export is None:
            self._warn(
                f"the store now holds the rebuild of {plural(len(changed), 'output')}: this user may not put the "
                "first build back"
            )
            return
        try:
            if now:
                self._nix.run("nix-store", "--delete", *now)
            with export.open("rb") as file:
                self._nix.run_from(file, "nix-store", "--import")
        except NixError as error:
            self._warn(
                f"the first build of {plural(len(changed), 'output')} could not be put back: "
                f"{str(error).splitlines()[-1]}"
            )
