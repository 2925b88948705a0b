"""Rebuild in a shadow store: one Nix run over all targets, at their real paths, the real store untouched."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import msgspec

from nix_repro.build.rebuild.attempts import attempts_of, differing, keep_directory, not_built, refused_answer
from nix_repro.build.rebuild.inputs import by_groups
from nix_repro.build.rebuild.protocol import ISOLATION, STRICT, Answer, Request
from nix_repro.build.rebuild.realisations import found_inputs, said_in
from nix_repro.build.rebuild.staying import Staying, staying
from nix_repro.build.variations import PLACEBOS, TABLE, Condition
from nix_repro.errors import UsageError
from nix_repro.nix.at_work import rooms
from nix_repro.nix.command import Nix, NixError
from nix_repro.nix.derivation import Derivation
from nix_repro.nix.hashes import nix32, sri
from nix_repro.nix.log.recorder import Recorder
from nix_repro.nix.private_settings import written
from nix_repro.nix.processes import CannotStart
from nix_repro.nix.store_path import outputs_of
from nix_repro.observations import Tree
from nix_repro.reasons import IN_USE

#: The settings that a daemon takes from whoever is not trusted; the others it ignores, and so the rebuild must.
ANYBODYS = frozenset({"cores", "max-jobs", "max-silent-time", "timeout"})


class Said(msgspec.Struct, frozen=True):
    """What the helper prints in the end: the output paths of each target, the hashes of those that are there, where it
    kept those that differ, and when the outputs of each target were last changed (seconds since the epoch)."""

    outputs: dict[str, list[str]]
    hashes: dict[str, str]
    kept: dict[str, str]
    touched: dict[str, float]


class Shadow:
    """`sudo` says that the helper gets root's rights from it: that asks for a password before, if it has to, as
    `permit` does."""

    name = "shadow"
    alone = False
    isolates = True
    elsewhere = False
    varies = frozenset(condition.name for condition in (*TABLE, *PLACEBOS.values()))

    def __init__(self, nix: Nix, *, sudo: bool = False) -> None:
        self._nix = nix
        self._sudo = sudo
        self._numbers = count(1)

    def rebuild(self, request: Request, recorder: Recorder) -> Answer:
        if (refused := refused_answer(self, request)) is not None:
            return refused
        stays = staying(self._nix, COMMAND[0], request.condition.options)
        in_use = [drv for drv in request.targets if stays.holds(drv)]
        free = replace(request, targets=tuple(drv for drv in request.targets if drv not in in_use))
        answer = by_groups(
            self._nix, free, recorder, lambda part, closure: self._rebuild(part, closure, stays, recorder)
        )
        refusals = not_built(in_use, request.round, IN_USE, isolated=request.isolated)
        return replace(answer, attempts=(*answer.attempts, *refusals))

    def _rebuild(self, request: Request, closure: list[str], stays: Staying, recorder: Recorder) -> Answer:
        nix = self._nix
        keep_directory(request).mkdir(parents=True, exist_ok=True)
        inputs = found_inputs(nix, request.targets)
        told = said_in(nix, inputs, request.keep / f"realisations-{next(self._numbers)}")
        question = self._question(request, closure, stays) | {
            "realised": [outputs_of(drv_path, outputs) for drv_path, outputs in inputs.items()],
            "realisations": told.url if told else "",
        }
        line = json.dumps(question).encode() + b"\n"
        if self._sudo and (refused := permit(nix.env, sudo=True)) is not None:
            raise NixError(f"shadow: {refused}")
        last: deque[str] = deque(maxlen=1)

        def feed(line: bytes) -> None:
            if not line.startswith(b"@nix"):
                last.append(line.decode("utf-8", "replace"))
            recorder.feed(line)

        # sudo remembers its permission by terminal and session.
        argv = [*(("sudo", "--non-interactive") if self._sudo else ()), *COMMAND]
        try:
            done = nix.processes.lines(argv, feed, env=nix.env, stdin=line, terminal=self._sudo)
        except CannotStart as error:
            raise NixError(f"the shadow helper cannot be run: {error.filename}: {error.strerror}") from None
        if done.returncode != 0 or not done.stdout:
            raise NixError("\n".join(recorder.said.errors or last) or f"the shadow helper ended with {done.returncode}")
        said = msgspec.convert(json.loads(done.stdout), Said)
        recorder.correct_ends(request.targets, said.touched)
        return answer(request, said, recorder, cancelled=nix.processes.stopped())

    def _options(self, condition: Condition) -> list[tuple[str, str]]:
        nix = self._nix
        given = [(name, value) for name, value in nix.options if nix.trusted() or name in ANYBODYS]
        # Root that builds without a daemon has no other sandbox than the helper.
        strict = STRICT if self._sudo or not without_daemon(nix) else ()
        try:
            return written([*given, *ISOLATION, *strict, ("substituters", ""), *condition.options])
        except UsageError as error:
            raise NixError(str(error)) from None

    def _question(self, request: Request, closure: list[str], stays: Staying) -> dict[str, Any]:
        """What the helper reads: all that it needs to build the targets again on these inputs."""
        nix, condition = self._nix, request.condition
        built_on = nix.requisites(drv.drv_path for drv in request.targets)
        paths = list(dict.fromkeys([*built_on, *closure, *stays.paths]))
        beside = Path(nix.store_dir()).parent / "var"
        return {
            "nix_store": str(nix.binary.with_name("nix-store")),
            "programs": stays.programs,
            "store_dir": nix.store_dir(),
            "state_dir": nix.env.get("NIX_STATE_DIR", str(beside / "nix")),
            "base": str(rooms(Path(nix.store_dir()))),
            "env": environment(nix),
            "options": self._options(condition),
            "args": [*request.limits.args(), *condition.args],
            "under": condition.under,
            "build_on": condition.build_on,
            "targets": {drv.drv_path: known_outputs(drv) for drv in request.targets},
            "paths": paths,
            "registration": nix.dump_db(paths).decode("utf-8", "surrogateescape"),
            "expected": expected(request),
            "keep_dir": str(keep_directory(request)),
            "owner": [os.getuid(), os.getgid()],
        }


def without_daemon(nix: Nix) -> bool:
    """Whether root's Nix builds by itself."""
    chosen = {nix.env.get("NIX_REMOTE") or "auto", nix.settings().get("store") or "auto"}
    return chosen <= {"auto", "local"}


def environment(nix: Nix) -> dict[str, str]:
    """What the first build went by: the helper runs with root's home and as nobody's daemon."""
    if nix.trusted():
        return nix.env | {"NIX_USER_CONF_FILES": nix.user_files()}
    return {name: value for name, value in nix.env.items() if name not in ("NIX_CONFIG", "NIX_CONF_DIR")} | {
        "NIX_USER_CONF_FILES": ""
    }


def known_outputs(drv: Derivation) -> list[str]:
    """Where every output will be, or nothing: the helper then asks Nix where they are."""
    known = [output.path for output in drv.outputs.values() if output.path]
    return known if len(known) == len(drv.outputs) else []


def expected(request: Request) -> dict[str, str]:
    """The first build's hashes in the form Nix prints; anything else is worth keeping."""
    return {path: nix32(nar_hash) for drv in request.targets for path, nar_hash in request.made_by(drv).items()}


def answer(request: Request, said: Said, recorder: Recorder, *, cancelled: bool) -> Answer:
    """What the helper's words and Nix's come to."""
    hashes = {path: sri(digest) for path, digest in said.hashes.items()}
    paths = {drv.drv_path: _by_output(drv, said.outputs[drv.drv_path]) for drv in request.targets}
    attempts = attempts_of(request, paths, hashes, recorder, "shadow store", cancelled=cancelled)
    trees = {
        key: Tree(Path(was.path), Path(said.kept[now.path]), request.round)
        for key, was, now in differing(request, attempts)
        if now.path in said.kept
    }
    return Answer(tuple(attempts), trees)


def _by_output(drv: Derivation, paths: Iterable[str]) -> dict[str, str]:
    static = {output.path: name for name, output in drv.outputs.items() if output.path}
    return {name: path for path in paths if (name := static.get(path) or drv.output_named(path))}


#: The helper, run by the interpreter behind the environment we run in: root should not run one that a user's cache
#: provides.
COMMAND = (
    os.path.realpath(getattr(sys, "_base_executable", sys.executable)),
    "-I",
    str(Path(__file__).with_name("shadow_helper.py")),
)


def permit(env: Mapping[str, str], *, sudo: bool) -> str | None:
    """Have the helper try what it needs; returns why it cannot. On a terminal sudo may ask for the password."""
    how = () if not sudo else ("sudo",) if sys.stdin.isatty() else ("sudo", "--non-interactive")
    try:
        probe = subprocess.run(
            [*how, *COMMAND, "--probe"],
            env=dict(env),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=60,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return "the helper did not answer"
    except OSError as error:
        return f"{error.filename}: {error.strerror}"
    if probe.returncode == 0:
        return None
    return (probe.stderr.strip().splitlines() or ["the helper could not be started"])[-1]
