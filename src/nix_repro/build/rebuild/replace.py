"""Rebuild in the store itself: set the first build aside, delete it, realise it again, put the first build back.

Needs no privilege and no Linux, and sees every output; but for a while the store is without the paths, so it is the
default only where nobody else works with the store. What is rooted or referred to from outside cannot be deleted and
goes to `nix-check`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import count
from pathlib import Path

from nix_repro.build.outcome import last_touched, output_paths
from nix_repro.build.rebuild.aside import Aside
from nix_repro.build.rebuild.attempts import attempts_of, differing, keep_directory, refused_answer
from nix_repro.build.rebuild.copying import copy_tree
from nix_repro.build.rebuild.inputs import by_groups
from nix_repro.build.rebuild.moving import delete, to_delete
from nix_repro.build.rebuild.protocol import ISOLATION, Answer, Rebuilder, Request
from nix_repro.build.rebuild.realisations import content_addressing
from nix_repro.files import remove_tree
from nix_repro.nix.command import Nix, NixError
from nix_repro.nix.derivation import Derivation
from nix_repro.nix.log.recorder import Recorder
from nix_repro.observations import Attempt, Seen, Tree
from nix_repro.text import last_line, plural, some


class Replace:
    """`release` drops the roots that this run itself holds on the targets, `otherwise` takes what cannot be deleted,
    `warn` hears what the user should know."""

    name = "replace"
    alone = True
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
        self._numbers = count(1)
        # Whether this user may put a first build back, once that was tried; and where not, the rebuilds that the store
        # holds in the place of first builds, and what these were.
        self._restores: bool | None = None
        self._left: dict[str, Attempt] = {}
        self._asides: list[Aside] = []

    def rebuild(self, request: Request, recorder: Recorder) -> Answer:
        if (refused := refused_answer(self, request)) is not None:
            return refused
        self._release()
        if request.isolated:
            # The inputs that are there are that rebuild's, so it is what another one can be compared with.
            request = replace(request, first={**request.first, **self._left})
        return by_groups(self._nix, request, recorder, lambda part, _: self._rebuild(part, recorder))

    def _rebuild(self, request: Request, recorder: Recorder) -> Answer:
        # Also what an earlier round has left: a content-addressed rebuild is in another place than the first build.
        left = (path for drv in request.targets for path in self._left_by(drv))
        first = (path for drv in request.targets for path in request.made_by(drv))
        made = self._nix.valid_hashes(dict.fromkeys((*first, *left)))
        referrers = self._nix.run("nix-store", "--query", "--referrers-closure", paths=made).split()
        doomed = to_delete(made, referrers, request.made())
        try:
            aside = self._set_aside(doomed, request)
        except (NixError, OSError) as error:
            return self._otherwise_rebuild(request, recorder, f"not to be set aside ({last_line(str(error))})")
        free: tuple[Derivation, ...] = ()
        try:
            free = not_stuck(request, delete(self._nix, doomed))
            if free:
                self._realise(recorder, request, [drv.drv_path for drv in free])
        finally:
            # Whatever came, a signal too: look at what there is, then put back what was there.
            with self._nix.processes.shielded():
                answer = self._finish(replace(request, targets=free), doomed, aside, recorder)
        held = tuple(drv for drv in request.targets if drv not in free)
        if not held:
            return answer
        rest = self._otherwise_rebuild(replace(request, targets=held), recorder, "in use, so not to be replaced")
        return Answer((*answer.attempts, *rest.attempts), {**answer.trees, **rest.trees})

    def _realise(self, recorder: Recorder, request: Request, drv_paths: Sequence[str]) -> None:
        args = ["--keep-going", *request.limits.args()]
        done = self._alone.stream(recorder.feed, "nix-store", "--realise", *args, paths=drv_paths)
        recorder.exited(done.returncode)

    def _otherwise_rebuild(self, request: Request, recorder: Recorder, why: str) -> Answer:
        names = some(sorted(drv.name for drv in request.targets), 5)
        self._warn(f"{why}, and rebuilt by {self._otherwise.name} instead: {names}")
        return self._otherwise.rebuild(request, recorder)

    def _set_aside(self, doomed: Collection[str], request: Request) -> Aside:
        directory = request.keep / f"aside-{next(self._numbers)}"
        try:
            aside = Aside(self._nix, directory)
            aside.take(doomed)
            aside.realise(self._realised(request, doomed))
        except (NixError, OSError):
            # The disk may be full of it.
            with suppress(OSError):
                remove_tree(directory)
            raise
        if doomed and self._restores is None:
            # Tried before anything is deleted: what our configuration says of trust need not be the daemon's.
            self._restores = self._nix.trusted() and aside.may_be_given_back()
        self._asides.append(aside)
        return aside

    def _finish(self, request: Request, doomed: Sequence[str], aside: Aside, recorder: Recorder) -> Answer:
        """What came of it. Afterwards the store is as it was, as far as this user can see to that."""
        attempts: list[Attempt] = []
        kept: dict[str, Path] = {}
        try:
            attempts = self._look(request, recorder)
            for _, _, now in differing(request, attempts):
                kept[now.path] = keep_directory(request) / Path(now.path).name
                # What could not be copied is found out by its hash.
                with suppress(OSError):
                    copy_tree(now.path, kept[now.path])
        finally:
            back = self._put_back(request, doomed, aside)
        if not request.isolated:
            self._remember(request, attempts, back)
        trees = {
            key: Tree(self._side(was, back, keep_directory(request)), kept[now.path], request.round)
            for key, was, now in differing(request, attempts)
        }
        if len(back) == len(doomed):
            self._asides.remove(aside)
            with suppress(OSError):
                remove_tree(aside.directory)
        return Answer(tuple(attempts), trees)

    def _look(self, request: Request, recorder: Recorder) -> list[Attempt]:
        paths = {drv.drv_path: output_paths(self._nix, drv) for drv in request.targets}
        hashes = self._nix.valid_hashes(path for found in paths.values() for path in found.values())
        cancelled = self._nix.processes.stopped()
        recorder.correct_ends(request.targets, {path: last_touched(found.values()) for path, found in paths.items()})
        return attempts_of(request, paths, hashes, recorder, "in the store", cancelled=cancelled)

    def _put_back(self, request: Request, doomed: Sequence[str], aside: Aside) -> dict[str, str]:
        """Have the store hold again what it held before; the narHashes of the paths of which that is so afterwards."""
        was = {path: info.nar_hash for path, info in aside.infos.items()}
        changed = to_restore(doomed, was, self._nix.valid_hashes(doomed))
        strayed = self._strayed(request)
        if changed or strayed:
            outputs = plural(len({path for path in changed if not path.endswith(".drv")} | strayed.keys()), "output")
            if not self._restores:
                self._warn(f"the store now holds the rebuild of {outputs}: this user may not put the first build back")
                self._build_again(request, doomed)
            else:
                try:
                    self._restore(request, doomed, {*changed, *(p for paths in strayed.values() for p in paths)}, aside)
                except NixError as error:
                    self._warn(f"the first build of {outputs} could not be put back: {last_line(str(error))}")
        out = {*to_restore(doomed, was, self._nix.valid_hashes(doomed)), *self._strayed(request)}
        return {path: was[path] for path in doomed if path not in out}

    def _strayed(self, request: Request) -> dict[str, set[str]]:
        """Outputs of the first build that the store does not hold to be the ones of their derivation, each with the
        paths that it takes for these."""
        found: dict[str, set[str]] = {}
        for drv in request.targets:
            if drv.found_later:
                now, made = {*output_paths(self._nix, drv).values()}, request.made_by(drv)
                found |= {path: now - made.keys() for path in made if path not in now}
        return found

    def _restore(self, request: Request, doomed: Sequence[str], changed: Collection[str], aside: Aside) -> None:
        """Take away what came in the place of the first build, then take that back. Raises `NixError`."""
        nix = self._nix
        wrong = {*changed} - nix.invalid(changed)
        referrers = nix.run("nix-store", "--query", "--referrers-closure", paths=wrong).split()
        delete(nix, to_delete(wrong, referrers, {*doomed, *changed}))
        aside.give_back(nix.invalid(doomed), self._realised(request, doomed))

    def _realised(self, request: Request, doomed: Collection[str]) -> dict[str, list[str]]:
        """The outputs that are at one of these paths, by .drv path, where Nix has to be told what derivations make."""
        if not content_addressing(self._nix):
            return {}
        return {path: names for path, build in request.first.items() if (names := build.at(doomed))}

    def _build_again(self, request: Request, doomed: Collection[str]) -> None:
        """What had to go because it refers to what was replaced: the store was not without it before."""
        targets = {drv.drv_path for drv in request.targets}
        gone = [path for path, build in request.first.items() if path not in targets and build.at(doomed)]
        if gone and not self._nix.processes.stopped():
            self._realise(Recorder(), request, gone)

    def _remember(self, request: Request, attempts: Iterable[Attempt], back: Mapping[str, str]) -> None:
        """What the store holds instead of first builds."""
        for attempt in attempts:
            self._left.pop(attempt.drv_path, None)
            first = request.first[attempt.drv_path].outputs.values()
            if attempt.outputs and any(back.get(seen.path) != seen.nar_hash for seen in first):
                self._left[attempt.drv_path] = attempt

    def _left_by(self, drv: Derivation) -> list[str]:
        """Where the store has a rebuild in the place of the first build, as far as that is known."""
        attempt = self._left.get(drv.drv_path)
        return [seen.path for seen in attempt.outputs.values()] if attempt else []

    def _side(self, seen: Seen, back: Mapping[str, str], directory: Path) -> Path:
        """Where the tree is that a rebuild differs from: in the store, or unpacked from where it was set aside."""
        if back.get(seen.path) == seen.nar_hash:
            return Path(seen.path)
        to = directory / "replaced" / Path(seen.path).name
        held = (aside for aside in self._asides if aside.has(seen.path, seen.nar_hash))
        # What could not be unpacked is found out by its hash.
        with suppress(OSError, NixError, StopIteration):
            next(held).tree(seen.path, to)
        return to


def not_stuck(request: Request, stuck: Collection[str]) -> tuple[Derivation, ...]:
    """The targets of which nothing had to stay in the store: the others cannot be built again there."""
    return tuple(drv for drv in request.targets if request.made_by(drv).keys().isdisjoint(stuck))


def to_restore(doomed: Iterable[str], first: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """What the store no longer holds as the first build made it. Both are narHashes by store path, `now` of what is
    valid."""
    return [path for path in doomed if now.get(path) != first[path]]
