"""Rebuild in another store: a directory of its own (`local?root=DIR`), or another machine (`ssh-ng://HOST`)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ..build import output_paths
from ..nix import Nix, NixError
from ..observe import Attempt, Tree
from ..recorder import Recorder
from ..report import Variation
from .common import ISOLATION, Answer, Request, attempt_of, batches, differing

ALREADY_THERE = "already in the other store, and not to be deleted there"


class Store:
    """`url` is any store that Nix can build in."""

    name = "store"
    isolates = True
    variations: tuple[Variation, ...] = ()

    def __init__(self, nix: Nix, url: str) -> None:
        self._nix = nix
        self._url = url
        self._there = nix.with_store(url)
        self._alone = self._there.with_options(ISOLATION)

    def rebuild(self, request: Request, recorder: Recorder) -> Answer:
        attempts: list[Attempt] = []
        trees: dict[tuple[str, str], Tree] = {}
        for group, closure in batches(self._nix, request.targets, request.first, Recorder(watcher=recorder.watcher)):
            answer = self._rebuild(replace(request, targets=tuple(group)), closure, recorder)
            attempts += answer.attempts
            trees |= answer.trees
        return Answer(tuple(attempts), trees)

    def _rebuild(self, request: Request, closure: list[str], recorder: Recorder) -> Answer:
        drv_paths = [drv.drv_path for drv in request.targets]
        there_before = self._clear(request)
        copy = ("copy", "--to", self._url, "--no-check-sigs", "--no-recursive", "--option", "substitute", "false")
        self._nix.run("nix", *copy, "--derivation", *self._nix.requisites(drv_paths))
        if closure:
            self._nix.run("nix", *copy, *closure)
        self._alone.stream(recorder.feed, "nix-store", "--realise", "--keep-going", *request.limits.args(), *drv_paths)
        with self._nix.processes.shielded():
            return self._compare(request, there_before, recorder)

    def _clear(self, request: Request) -> set[str]:
        """Outputs of an earlier round would be taken for built, and given to what is built from them."""
        ours = {seen.path for attempt in request.first.values() for seen in attempt.outputs.values()}
        there = ours - self._there.invalid(ours)
        if there:
            try:
                self._there.run("nix-store", "--delete", *there)
            except NixError:
                return ours - self._there.invalid(ours)
        return set()

    def _compare(self, request: Request, there_before: set[str], recorder: Recorder) -> Answer:
        cancelled = self._nix.processes.signum is not None
        paths = {drv.drv_path: output_paths(self._there, drv) for drv in request.targets}
        everything = [path for found in paths.values() for path in found.values()]
        invalid = self._there.invalid(everything)
        hashes = self._there.hashes(path for path in everything if path not in invalid)
        origin = f"round {request.round}, {self._url}" + (", the first build's inputs" if request.isolated else "")
        attempts: list[Attempt] = []
        trees: dict[tuple[str, str], Tree] = {}
        for drv in request.targets:
            again = attempt_of(drv, request, paths[drv.drv_path], hashes, recorder, origin, cancelled=cancelled)
            if there_before.intersection(paths[drv.drv_path].values()):
                again = replace(again, status="not-built", outputs={}, missing=dict.fromkeys(drv.outputs, ALREADY_THERE), because=ALREADY_THERE)
            attempts.append(again)
            first = request.first[drv.drv_path]
            for name in differing(drv, first, again):
                kept = request.keep / f"round-{request.round}{'-isolated' if request.isolated else ''}" / Path(again.outputs[name].path).name
                self._fetch(again.outputs[name].path, kept)
                trees[drv.drv_path, name] = Tree(Path(first.outputs[name].path), kept, request.round)
        return Answer(tuple(attempts), trees)

    def _fetch(self, path: str, to: Path) -> None:
        """Bring one path here as a plain tree: here the path itself is taken by the first build."""
        to.parent.mkdir(parents=True, exist_ok=True)
        nar = to.with_name(f"{to.name}.nar")
        with nar.open("wb") as file:
            self._there.run_to(file, "nix-store", "--dump", path)
        with nar.open("rb") as file:
            self._nix.run_from(file, "nix-store", "--restore", str(to))
        nar.unlink()
