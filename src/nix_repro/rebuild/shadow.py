"""Rebuild in a shadow store: one Nix run over all targets, at their real paths, the real store untouched."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from nix_repro.hashes import nix32, sri
from nix_repro.nix import Nix, NixError
from nix_repro.observe import Tree
from nix_repro.rebuild.common import ISOLATION, Answer, Request, attempts_of, by_groups, differing, keep_directory
from nix_repro.recorder import Recorder
from nix_repro.report import Variation

HELPER = Path(__file__).with_name("shadow_helper.py")


class Shadow:
    """`prefix` is what gives the helper root's rights: nothing for root, `sudo -n` for others."""

    name = "shadow"
    isolates = True

    def __init__(self, nix: Nix, prefix: tuple[str, ...] = ()) -> None:
        self._nix = nix
        self._prefix = prefix
        self.variations: tuple[Variation, ...] = ()

    def rebuild(self, request: Request, recorder: Recorder) -> Answer:
        return by_groups(self._nix, request, recorder, lambda part, closure: self._rebuild(part, closure, recorder))

    def _rebuild(self, request: Request, closure: list[str], recorder: Recorder) -> Answer:
        nix = self._nix
        paths = list(dict.fromkeys([*nix.requisites(drv.drv_path for drv in request.targets), *closure]))
        keep = keep_directory(request)
        keep.mkdir(parents=True, exist_ok=True)
        known = {drv.drv_path: [o.path for o in drv.outputs.values() if o.path] for drv in request.targets}
        question = {
            "nix_store": str(nix.binary.with_name("nix-store")),
            "store_dir": nix.store_dir(),
            "state_dir": nix.env.get("NIX_STATE_DIR", str(Path(nix.store_dir()).parent / "var" / "nix")),
            "base": str(Path(nix.store_dir()).parent / "var" / "nix-repro"),
            # What the first build went by: the helper runs with root's home.
            "env": nix.env | ({"NIX_USER_CONF_FILES": nix.user_files()} if nix.trusted() else {}),
            "options": [*nix.options, *ISOLATION, ("substituters", ""), *request.change.options],
            "args": [*request.limits.args(), *request.change.args],
            "under": request.change.under,
            "memory_build_dir": request.change.memory_build_dir,
            # Every output at a known path, or an empty list: the helper then asks Nix where they are.
            "targets": {
                drv.drv_path: known[drv.drv_path] if len(known[drv.drv_path]) == len(drv.outputs) else [] for drv in request.targets
            },
            "paths": paths,
            "registration": nix.dump_db(paths).decode("utf-8", "surrogateescape"),
            "expected": self._expected(request),
            "keep_dir": str(keep),
            "owner": [os.getuid(), os.getgid()],
        }
        argv = [*self._prefix, system_python(), "-I", str(HELPER)]
        line = json.dumps(question).encode() + b"\n"
        done = nix.processes.lines(argv, recorder.feed, env=nix.env, stdin=line)
        if done.returncode != 0 or not done.stdout:
            raise NixError("\n".join(recorder.errors) or f"the shadow helper ended with {done.returncode}")
        return self._answer(request, json.loads(done.stdout), recorder)

    def _expected(self, request: Request) -> dict[str, str]:
        """The first build's hashes in the form Nix prints; anything else is worth keeping."""
        return {seen.path: nix32(seen.nar_hash) for drv in request.targets for seen in request.first[drv.drv_path].outputs.values()}

    def _answer(self, request: Request, said: dict[str, object], recorder: Recorder) -> Answer:
        outputs: dict[str, list[str]] = said["outputs"]  # type: ignore[assignment]
        hashes = {path: sri(digest) for path, digest in said["hashes"].items()}  # type: ignore[attr-defined]
        kept: dict[str, str] = said["kept"]  # type: ignore[assignment]
        touched: dict[str, float] = said["touched"]  # type: ignore[assignment]
        paths: dict[str, dict[str, str]] = {}
        for drv in request.targets:
            static = {o.path: name for name, o in drv.outputs.items() if o.path}
            paths[drv.drv_path] = {name: path for path in outputs[drv.drv_path] if (name := static.get(path) or drv.output_named(path))}
        cancelled = self._nix.processes.signum is not None
        attempts = attempts_of(request, paths, hashes, recorder, "shadow store", cancelled=cancelled, touched=touched)
        trees = {
            key: Tree(Path(was.path), Path(kept[now.path]), request.round)
            for key, was, now in differing(request, attempts)
            if now.path in kept
        }
        return Answer(tuple(attempts), trees)


def system_python() -> str:
    """The interpreter behind the environment we run in: root should not run one that a user's cache provides."""
    return os.path.realpath(getattr(sys, "_base_executable", sys.executable))
