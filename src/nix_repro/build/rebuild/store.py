"""Rebuild in another store: a directory of its own (`local?root=DIR`), or another machine (`ssh-ng://HOST`)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from nix_repro.build.outcome import output_paths
from nix_repro.build.rebuild.attempts import attempts_of, differing, keep_directory, refused_answer
from nix_repro.build.rebuild.inputs import built_from, by_groups
from nix_repro.build.rebuild.moving import AS_IT_IS, copy, delete, in_turns, to_delete
from nix_repro.build.rebuild.protocol import ISOLATION, STRICT, Answer, Request
from nix_repro.build.rebuild.reach import ANSWER, pulse, silence
from nix_repro.build.rebuild.realisations import found_inputs, places
from nix_repro.nix.command import Nix, NixError
from nix_repro.nix.derivation import Derivation
from nix_repro.nix.lock import directory_of, locked
from nix_repro.nix.log.recorder import Recorder
from nix_repro.nix.waiting import within
from nix_repro.observations import Tree
from nix_repro.reasons import ALREADY_THERE, OTHER_INPUT, Reason
from nix_repro.text import seconds


class Store:
    """`url` is any store that Nix can build in, `warn` hears what the user should know."""

    name = "store"
    alone = False
    isolates = True
    elsewhere = True
    varies: frozenset[str] = frozenset()

    def __init__(self, nix: Nix, url: str, warn: Callable[[str], None]) -> None:
        def alive() -> Callable[[], None]:
            return pulse(lambda: silence(nix, url))

        self._nix = nix
        # What is copied or built may take any time, as long as the other side is there.
        self._copying = nix.meanwhile(alive)
        self._warn = warn
        self._url = url
        late = f"the other store did not answer within {seconds(ANSWER)}"
        self._there = nix.with_store(url).meanwhile(lambda: within(ANSWER, late))
        self._alone = nix.with_store(url).with_options([*ISOLATION, *STRICT]).meanwhile(alive)
        # Inputs that were compared already: the question goes over the network path by path.
        self._same: set[str] = set()

    def rebuild(self, request: Request, recorder: Recorder) -> Answer:
        if (refused := refused_answer(self, request)) is not None:
            return refused
        with self._lock():
            return by_groups(self._nix, request, recorder, lambda part, closure: self._rebuild(part, closure, recorder))

    @contextmanager
    def _lock(self) -> Iterator[None]:
        """Another run on this machine would take away what this one brings to the same store."""
        directory = directory_of(self._url)
        if directory is None:
            yield
            return
        with suppress(OSError):
            directory.mkdir(parents=True, exist_ok=True)

        def wait() -> None:
            self._warn(f"waiting for another run of nix-repro, which is using the store {self._url}")

        with locked(directory, alone=True, waiting=wait, pause=self._nix.processes.pause):
            yield

    def _rebuild(self, request: Request, closure: list[str], recorder: Recorder) -> Answer:
        drv_paths = [drv.drv_path for drv in request.targets]
        needed = self._nix.requisites(drv_paths)
        inputs = found_inputs(self._nix, request.targets)
        if inputs or any(drv.found_later for drv in request.targets):
            # Before the other store can say what it takes to be their outputs.
            self._bring(needed)
        here = places(self._nix, inputs)
        stale = self._clear(request, elsewhere(places(self._there, inputs), here))
        self._bring(list(dict.fromkeys([*needed, *closure])))
        self._realise(inputs)
        args = ["--keep-going", *request.limits.args()]
        done = self._alone.stream(recorder.feed, "nix-store", "--realise", *args, paths=drv_paths)
        recorder.exited(done.returncode)
        with self._nix.processes.shielded():
            different = self._different(closure, request.made()) | elsewhere(here, places(self._there, inputs))
            return self._compare(request, stale, different, recorder)

    def _bring(self, paths: Collection[str]) -> None:
        """Have valid paths, .drv files or not, in the other store."""
        mixed = len({path.endswith(".drv") for path in paths}) > 1
        turns = in_turns(self._nix.path_info(paths)) if mixed else filter(None, [list(paths)])
        copy(self._copying, turns, "--to", self._url)

    def _realise(self, inputs: Mapping[str, Iterable[str]]) -> None:
        """Tell the other store what content-addressed inputs have made."""
        operands = [self._nix.outputs(drv_path, names) for drv_path, names in inputs.items()]
        if operands:
            self._copying.run("nix", "copy", "--to", self._url, *AS_IT_IS, "--max-jobs", "0", paths=operands)

    def _clear(self, request: Request, strayed: set[str]) -> set[str]:
        """Delete what earlier rounds left, and `strayed` inputs: it would be taken for built, and be given to what is
        built from it. Returns what could not be deleted."""
        made = request.made()
        targets = {path for drv in request.targets for path in (*request.made_by(drv), *self._found(drv))} | strayed
        there = self._there.valid_hashes({*made, *targets})
        wrong = [path for path, nar_hash in there.items() if path in targets or made[path] != nar_hash]
        referrers = self._there.run("nix-store", "--query", "--referrers-closure", paths=wrong).split()
        doomed = to_delete(wrong, referrers, {*made, *targets})
        try:
            return delete(self._there, doomed)
        except NixError:
            return {*doomed} - self._there.invalid(doomed)

    def _found(self, drv: Derivation) -> Iterable[str]:
        """Where the other store takes the outputs to be, of a derivation of which only a store says that."""
        return output_paths(self._there, drv).values() if drv.found_later else ()

    def _compare(self, request: Request, stale: set[str], different: set[str], recorder: Recorder) -> Answer:
        paths = {drv.drv_path: output_paths(self._there, drv) for drv in request.targets}
        hashes = self._there.valid_hashes(path for found in paths.values() for path in found.values())
        others = built_from(self._nix, request.targets, different)
        reasons = left_over(paths, stale) | dict.fromkeys(others, OTHER_INPUT)
        cancelled = self._nix.processes.stopped()
        recorder.correct_ends(request.targets, {})
        attempts = attempts_of(request, paths, hashes, recorder, self._url, cancelled=cancelled, reasons=reasons)
        trees: dict[tuple[str, str], Tree] = {}
        for key, was, now in differing(request, attempts):
            kept = keep_directory(request) / Path(now.path).name
            # What could not be brought here is found out by its hash.
            with suppress(OSError, NixError):
                self._fetch(now.path, kept)
            trees[key] = Tree(Path(was.path), kept, request.round)
        return Answer(tuple(attempts), trees)

    def _different(self, closure: Iterable[str], made: Collection[str]) -> set[str]:
        """The inputs that the other store has with another content, from elsewhere or because another run uses it at
        the same time."""
        here = self._nix.valid_hashes(path for path in closure if path in made or path not in self._same)
        there = self._there.valid_hashes(here)
        different = {path for path, nar_hash in here.items() if there.get(path) != nar_hash}
        self._same |= here.keys() - different
        return different

    def _fetch(self, path: str, to: Path) -> None:
        """Bring one path here as a plain tree: here the path itself is taken by the first build."""
        to.parent.mkdir(parents=True, exist_ok=True)
        nar = to.with_name(f"{to.name}.nar")
        with nar.open("wb") as file:
            self._there.run_to(file, "nix", "store", "dump-path", paths=[path])
        with nar.open("rb") as file:
            self._nix.run_from(file, "nix-store", "--restore", str(to))
        nar.unlink()


def elsewhere(one: Mapping[str, set[str]], other: Mapping[str, set[str]]) -> set[str]:
    """Where one store has what the other has not there. Both are places by .drv path."""
    return {path for drv_path, paths in one.items() for path in paths - other[drv_path]}


def left_over(paths: Mapping[str, Mapping[str, str]], stale: Collection[str]) -> dict[str, Reason]:
    """What speaks against the rebuilds whose outputs were there before. `paths` are by .drv path and output name."""
    return {drv_path: ALREADY_THERE for drv_path, found in paths.items() if not {*found.values()}.isdisjoint(stale)}
