"""The caches, the store and what is in it: what asks a network or reads much."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from nix_repro.doctor.model import Diagnosis, note, ok, problem
from nix_repro.errors import UsageError
from nix_repro.nix import gc_roots
from nix_repro.nix.caches.http import session
from nix_repro.nix.caches.kinds import MAGIC_NIX_CACHE, normal, recognise
from nix_repro.nix.caches.resilient import Realiser
from nix_repro.nix.command import Nix, NixError
from nix_repro.nix.store_path import store_name
from nix_repro.plan.installables import evaluate
from nix_repro.text import last_error, plural, size

#: Seconds after which the answer of a cache is slow.
SLOW_CACHE = 2.0
#: Seconds for which it is waited for.
TIMEOUT = 5.0


def substituters(settings: Mapping[str, Any]) -> list[Diagnosis]:
    """Whether each cache answers, and how fast; they are asked at once."""
    urls = [str(url) for url in settings.get("substituters", [])]
    if not urls:
        return [
            note("substituters", "none: everything is built here", "substituters = https://cache.nixos.org in nix.conf")
        ]
    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(lambda url: _substituter(url, settings), urls))


def _substituter(url: str, settings: Mapping[str, Any]) -> Diagnosis:
    base = normal(url)
    name = f"substituter {recognise(url).name}"
    if base.startswith("file://"):
        there = Path(base.removeprefix("file://")).is_dir()
        return (
            ok(name, "there")
            if there
            else problem(name, f"{base}: there is no such directory", "mount it or take it out of substituters")
        )
    if not base.startswith(("http://", "https://")):
        return ok(name, f"{base}: not asked")
    import requests

    began = time.monotonic()
    try:
        # Whatever comes after the status is not waited for.
        with session(settings, base).get(f"{base}/nix-cache-info", timeout=TIMEOUT, stream=True) as answer:
            pass
    except requests.RequestException as error:
        return problem(
            name,
            f"{base} cannot be reached ({type(error).__name__})",
            "start it, or take it out of substituters: it costs 5 s a run",
        )
    took = time.monotonic() - began
    if answer.status_code != 200:
        fix = (
            "418 and 429: too many requests, wait or use another cache. 401 and 403: credentials in netrc-file. 5xx: "
            "its own log"
        )
        return problem(name, f"{base} answers {answer.status_code}", fix)
    if took > SLOW_CACHE:
        return note(
            name, f"{base} takes {took:.1f} s to answer", "a nearer cache, or put it behind faster ones (?priority=)"
        )
    return ok(name, f"{base} answers in {took * 1000:.0f} ms")


def magic(settings: Mapping[str, Any]) -> Diagnosis:
    """Whether a job uses Magic Nix Cache."""
    if any(host in str(url) for url in settings.get("substituters", []) for host in MAGIC_NIX_CACHE):
        return ok("Magic Nix Cache", "on")
    found = "off: nothing of an earlier job comes from GitHub's cache"
    return note("Magic Nix Cache", found, "`cache: magic` in the action's inputs, before anything is built")


def store(nix: Nix) -> list[Diagnosis]:
    """What the store holds, and what garbage collection would free."""
    try:
        infos = nix.everything()
    except NixError as error:
        return [note("store size", f"not known: {last_error(str(error))}", "nix-store --verify")]
    state = Path(nix.env.get("NIX_STATE_DIR", Path(nix.store_dir()).parent / "var" / "nix"))
    settings = nix.settings()
    keep = {name: bool(settings.get(name.replace("_", "-"))) for name in ("keep_derivations", "keep_outputs")}
    used = gc_roots.live(infos, gc_roots.roots(state, nix.store_dir()), **keep)
    kept, freed = (sum(infos[path].nar_size for path in paths) for paths in (used, infos.keys() - used))
    return [
        ok("store size", f"{plural(len(used), 'path')} in use, {size(kept)}"),
        ok("garbage", f"nix-collect-garbage would free {plural(len(infos) - len(used), 'path')}, {size(freed)}"),
    ]


def closures(nix: Nix, cwd: Path, installables: Sequence[str]) -> Iterable[Diagnosis]:
    """Whether the installables evaluate, and how large the closures are of those that are built."""
    if not (cwd / "flake.nix").is_file() and all(name.startswith((".", "#")) for name in installables):
        return [note("installables", "there is no flake.nix here", "run it where the flake is")]
    try:
        named = evaluate(Realiser(nix), installables, cwd)
        drvs = nix.derivations(dict.fromkeys(named.values()))
        outputs = [o.path for drv in drvs.values() for o in drv.outputs.values() if o.path is not None]
        invalid = nix.invalid(outputs)
        valid = [path for path in outputs if path not in invalid]
        infos = nix.path_info(valid, closure_size=True) if valid else {}
    except (UsageError, NixError) as error:
        return [problem("installables", last_error(str(error)), "nix flake check shows the whole message")]
    found = [ok("installables", plural(len(named), "installable"))]
    for path in valid:
        closure = infos[path].closure_size
        found.append(ok(f"closure {store_name(path)}", size(closure) if closure is not None else "size not known"))
    return found
