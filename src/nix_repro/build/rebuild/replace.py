"""Rebuild in the store itself: set the first build aside, delete it, realise it again, put the first build back.

Needs no privilege and no Linux, and sees every output; but for a while the store is without the paths, so it is the
default only where nobody else works with the store. What is rooted or referred to from outside cannot be deleted and
goes to `nix-check`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from nix_repro.build.outcome import last_touched, output_paths
from nix_repro.build.rebuild.attempts import attempts_of, differing, keep_directory, refused_answer
from nix_repro.build.rebuild.copying import copy_tree
from nix_repro.build.rebuild.inputs import by_groups
from nix_repro.build.rebuild.protocol import ISOLATION, Answer, Rebuilder, Request
from nix_repro.files import remove_tree
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
        targets = {path for drv in request.targets for path in request.made_by(drv)}
        referrers = self._nix.run("nix-store", "--query", "--referrers-closure", paths=targets).split()
        doomed = to_delete(targets, referrers, request.made())
        aside = request.keep / f"first-{request.round}"
        export = self._set_aside(doomed, aside)
        free: tuple[Derivation, ...] = ()
        try:
            free = not_stuck(request, self._delete(doomed))
            if free:
                drv_paths = [drv.drv_path for drv in free]
                args = ["--keep-going", *request.limits.args()]
                done = self._alone.stream(recorder.feed, "nix-store", "--realise", *args, paths=drv_paths)
                recorder.exited(done.returncode)
        finally:
            # Whatever came, a signal too: look at what there is, then put back what was there.
            with self._nix.processes.shielded():
                answer = self._compare(replace(request, targets=free), recorder, None if export else aside)
                self._put_back(doomed, request, export)
                if export is not None:
                    remove_tree(aside)
        held = tuple(drv for drv in request.targets if drv not in free)
        if not held:
            return answer
        names = some(sorted(drv.name for drv in held), 5)
        self._warn(f"in use, so not to be replaced, and rebuilt by {self._otherwise.name} instead: {names}")
        rest = self._otherwise.rebuild(replace(request, targets=held), recorder)
        return Answer((*answer.attempts, *rest.attempts), {**answer.trees, **rest.trees})

    def _set_aside(self, doomed: list[str], aside: Path) -> Path | None:
        """Keep what is going to be deleted: as an export that can be put back, or where this user may not do that
        (None) as trees to compare with."""
        aside.mkdir(parents=True)
        if not self._nix.trusted():
            for path in doomed:
                copy_tree(path, aside / Path(path).name)
            return None
        export = aside / "export"
        with export.open("wb") as file:
            self._nix.export(file, doomed)
        return export

    def _delete(self, doomed: list[str]) -> set[str]:
        """Delete in one call; paths that are alive keep everything below them alive and are returned with it."""
        stuck: set[str] = set()
        while rest := left(doomed, stuck | self._nix.invalid(doomed)):
            try:
                self._nix.delete(rest)
            except NixError as error:
                alive = in_the_way(str(error))
                if alive is None or alive in stuck:
                    raise
                stuck |= {alive, *self._nix.requisites([alive])}
            else:
                break
        return stuck

    def _compare(self, request: Request, recorder: Recorder, aside: Path | None) -> Answer:
        paths = {drv.drv_path: output_paths(self._nix, drv) for drv in request.targets}
        hashes = self._nix.valid_hashes(path for found in paths.values() for path in found.values())
        cancelled = self._nix.processes.stopped()
        recorder.correct_ends(request.targets, {path: last_touched(found.values()) for path, found in paths.items()})
        attempts = attempts_of(request, paths, hashes, recorder, "in the store", cancelled=cancelled)
        trees: dict[tuple[str, str], Tree] = {}
        for key, was, now in differing(request, attempts):
            kept = keep_directory(request) / Path(now.path).name
            copy_tree(now.path, kept)
            trees[key] = Tree(aside / Path(was.path).name if aside else Path(was.path), kept, request.round)
        return Answer(tuple(attempts), trees)

    def _put_back(self, doomed: list[str], request: Request, export: Path | None) -> None:
        """Make the store hold the first build again, where it no longer does."""
        now = self._nix.valid_hashes(doomed)
        changed = to_restore(doomed, request.made(), now)
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
                self._nix.delete(now)
            with export.open("rb") as file:
                self._nix.run_from(file, "nix-store", "--import")
        except NixError as error:
            self._warn(
                f"the first build of {plural(len(changed), 'output')} could not be put back: "
                f"{str(error).splitlines()[-1]}"
            )


def to_delete(targets: Iterable[str], referrers: Iterable[str], ours: Collection[str]) -> list[str]:
    """The targets' outputs, and what of this run's own refers to them: that is in the way of deleting them."""
    return sorted({*targets, *(path for path in referrers if path in ours)})


def not_stuck(request: Request, stuck: Collection[str]) -> tuple[Derivation, ...]:
    """The targets of which nothing had to stay in the store: the others cannot be built again there."""
    return tuple(drv for drv in request.targets if request.made_by(drv).keys().isdisjoint(stuck))


def left(doomed: Iterable[str], out: Collection[str]) -> list[str]:
    """What is still to be deleted: not what is gone or cannot be."""
    return [path for path in doomed if path not in out]


def in_the_way(words: str) -> str | None:
    """The path that Nix did not delete because it is in use, as far as it names one."""
    found = _ALIVE.search(words)
    return found[1] if found else None


def to_restore(doomed: Iterable[str], first: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """What the store no longer holds as the first build made it. Both are narHashes by store path, `now` of what is
    valid."""
    return [path for path in doomed if now.get(path) != first[path]]
