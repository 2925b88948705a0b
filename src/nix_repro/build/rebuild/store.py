"""Rebuild in another store: a directory of its own (`local?root=DIR`), or another machine (`ssh-ng://HOST`)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

from nix_repro.build.outcome import output_paths
from nix_repro.build.rebuild.attempts import attempts_of, differing, keep_directory, refused_answer
from nix_repro.build.rebuild.inputs import by_groups
from nix_repro.build.rebuild.protocol import ISOLATION, Answer, Request
from nix_repro.nix.command import Nix, NixError
from nix_repro.nix.log.recorder import Recorder
from nix_repro.observations import Tree
from nix_repro.reasons import ALREADY_THERE, Reason


class Store:
    """`url` is any store that Nix can build in."""

    name = "store"
    isolates = True
    elsewhere = True
    varies: frozenset[str] = frozenset()

    def __init__(self, nix: Nix, url: str) -> None:
        self._nix = nix
        self._url = url
        self._there = nix.with_store(url)
        self._alone = self._there.with_options(ISOLATION)

    def rebuild(self, request: Request, recorder: Recorder) -> Answer:
        if (refused := refused_answer(self, request)) is not None:
            return refused
        return by_groups(self._nix, request, recorder, lambda part, closure: self._rebuild(part, closure, recorder))

    def _rebuild(self, request: Request, closure: list[str], recorder: Recorder) -> Answer:
        drv_paths = [drv.drv_path for drv in request.targets]
        stale = self._clear(request)
        for copy, paths in copies(self._url, self._nix.requisites(drv_paths), closure):
            self._nix.run("nix", *copy, paths=paths)
        args = ["--keep-going", *request.limits.args()]
        done = self._alone.stream(recorder.feed, "nix-store", "--realise", *args, paths=drv_paths)
        recorder.exited(done.returncode)
        with self._nix.processes.shielded():
            return self._compare(request, stale, recorder)

    def _clear(self, request: Request) -> set[str]:
        """Delete what earlier rounds left: it would be taken for built, and be given to what is built from it. Returns
        what could not be deleted."""
        ours = request.made().keys()
        if there := ours - self._there.invalid(ours):
            try:
                self._there.delete(there)
            except NixError:
                return ours - self._there.invalid(ours)
        return set()

    def _compare(self, request: Request, stale: set[str], recorder: Recorder) -> Answer:
        paths = {drv.drv_path: output_paths(self._there, drv) for drv in request.targets}
        hashes = self._there.valid_hashes(path for found in paths.values() for path in found.values())
        reasons = left_over(paths, stale)
        cancelled = self._nix.processes.stopped()
        recorder.correct_ends(request.targets, {})
        attempts = attempts_of(request, paths, hashes, recorder, self._url, cancelled=cancelled, reasons=reasons)
        trees: dict[tuple[str, str], Tree] = {}
        for key, was, now in differing(request, attempts):
            kept = keep_directory(request) / Path(now.path).name
            self._fetch(now.path, kept)
            trees[key] = Tree(Path(was.path), kept, request.round)
        return Answer(tuple(attempts), trees)

    def _fetch(self, path: str, to: Path) -> None:
        """Bring one path here as a plain tree: here the path itself is taken by the first build."""
        to.parent.mkdir(parents=True, exist_ok=True)
        nar = to.with_name(f"{to.name}.nar")
        with nar.open("wb") as file:
            self._there.run_to(file, "nix", "store", "dump-path", paths=[path])
        with nar.open("rb") as file:
            self._nix.run_from(file, "nix-store", "--restore", str(to))
        nar.unlink()


def copies(url: str, drvs: Collection[str], inputs: Collection[str]) -> list[tuple[tuple[str, ...], Collection[str]]]:
    """The commands of `nix` that bring derivations (`drvs`, with all that they need) and build inputs to the store,
    each with the paths it is about."""
    copy = ("copy", "--to", url, "--no-check-sigs", "--no-recursive", "--option", "substitute", "false")
    return [((*copy, "--derivation"), drvs), *([(copy, inputs)] if inputs else [])]


def left_over(paths: Mapping[str, Mapping[str, str]], stale: Collection[str]) -> dict[str, Reason]:
    """What speaks against the rebuilds whose outputs were there before. `paths` are by .drv path and output name."""
    return {drv_path: ALREADY_THERE for drv_path, found in paths.items() if not {*found.values()}.isdisjoint(stale)}
