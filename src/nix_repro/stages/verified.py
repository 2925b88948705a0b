"""The verified cache: fetched from before anything is built, filled with what the run has verified."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from nix_repro.metrics.remembered import verified_use
from nix_repro.nix.caches.narinfo import surplus
from nix_repro.nix.caches.verified import ROOM, Unusable, VerifiedCache
from nix_repro.nix.command import NixError
from nix_repro.nix.lock import locked
from nix_repro.nix.store_path import store_name
from nix_repro.plan.scope import Plan
from nix_repro.run import Run
from nix_repro.text import last_error, plural, size, some
from nix_repro.verdict.verified import downloads, verified_outputs, whole, withdrawn_outputs


def open_verified(run: Run) -> None:
    """Have builds and evaluation ask the verified cache first, if there is one that can be used."""
    if run.config.verified_cache is None:
        return
    if not run.nix.trusted():
        _do_without(run, "Nix takes caches from trusted users only (trusted-users in nix.conf)")
        return
    try:
        cache = VerifiedCache(run.cwd / run.config.verified_cache, run.nix)
    except Unusable as error:
        _do_without(run, str(error))
        return
    with _nobody_else(run, cache, alone=False):
        _read(run, cache.load)
    run.verified = cache
    if cache.held:
        keys = run.nix.settings().get("trusted-public-keys", [])
        options = [
            ("substituters", " ".join([cache.url, *run.realiser.configured()])),
            ("trusted-public-keys", " ".join([*keys, cache.key])),
        ]
        # Its key is trusted where something is fetched, and nowhere else.
        run.realiser.nix = run.nix.with_options(options)


def keep_verified(run: Run, plan: Plan) -> None:
    """Find what may be handed on, and put it into the verified cache, if there is one."""
    hashes = verified_outputs(plan, run.verdicts)
    run.verified_paths = tuple(hashes)
    if (cache := run.verified) is None:
        return
    with run.phase("cache", "keeping what is verified"):
        try:
            if hashes:
                cache.directory.mkdir(parents=True, exist_ok=True)
            with _nobody_else(run, cache, alone=True):
                _keep(run, plan, cache, hashes)
        except (NixError, OSError) as error:
            run.warn(f"{_called(run)}: {last_error(str(error))}. Not all that is verified is in it")


@contextmanager
def _nobody_else(run: Run, cache: VerifiedCache, *, alone: bool) -> Iterator[None]:
    """While this lasts, no other run changes the cache, or, if `alone`, reads it before it is used."""

    def wait() -> None:
        run.display.waiting("for another run of nix-repro, which is using this verified cache")

    with locked(cache.directory, alone=alone, waiting=wait, pause=run.nix.processes.pause):
        run.display.waiting("")
        yield


def _read(run: Run, read: Callable[[], None]) -> None:
    try:
        read()
    except Unusable as error:
        run.warn(f"{_called(run)}: {error}. Nothing of it is used, and it is made anew once something is verified")


def _keep(run: Run, plan: Plan, cache: VerifiedCache, hashes: Mapping[str, str]) -> None:
    # What another run has put in meanwhile stays.
    _read(run, cache.refresh)
    if not cache.sound or cache.url in run.realiser.dropped:
        # Whatever is wrong with it does not come back.
        cache.clear()
    before = cache.held.copy()
    left_out = _fill(run, plan, cache, hashes)
    run.verified_use = verified_use(before, cache.held, left_out)


def _fill(run: Run, plan: Plan, cache: VerifiedCache, hashes: Mapping[str, str]) -> int:
    """Put it in as far as there is room. Returns how many paths there is no room for."""
    if run.config.scope != "own" and hashes:
        # What is in scope need not be the repository's own.
        upstream = run.lookups.available(hashes) or set()
        hashes = {path: nar_hash for path, nar_hash in hashes.items() if path not in upstream}
    stored = {path: info for path, info in run.nix.path_info(hashes).items() if info.nar_hash == hashes[path]}
    other = {path for path in stored.keys() & cache.held if cache.held[path].nar_hash != hashes[path]}
    cache.remove(withdrawn_outputs(plan, run.verdicts) | other)
    sources = {source for drv in plan.derivations.values() for source in drv.input_srcs}
    foreign = {ref for info in stored.values() for ref in info.references} - stored.keys() - sources - cache.held.keys()
    upstream = (run.lookups.available(foreign) if foreign else None) or set()
    # Whoever has evaluated the flake has its sources. A download is what its hash says.
    stored |= run.nix.path_info((foreign - upstream) & downloads(plan))
    references = {path: info.references for path, info in stored.items()}
    good = whole(references, {*sources, *upstream, *cache.held})
    if incomplete := sorted(map(store_name, stored.keys() - good)):
        run.warn(f"{_called(run)}: without {some(incomplete)}, because of what they refer to, which is not verified")
    cache.add({path: info for path, info in stored.items() if path in good and path not in cache.held})
    cache.needed(good)
    gone = cache.remove(surplus(cache.held, ROOM))
    if gone:
        without = f"is without {plural(len(gone), 'path')}: what was needed longest ago, or has no room by itself"
        run.warn(f"{_called(run)}: it has room for {size(ROOM)}, and {without}")
    return len(gone)


def _called(run: Run) -> str:
    return f"verified cache {run.config.verified_cache}"


def _do_without(run: Run, because: str) -> None:
    run.warn(f"{_called(run)}: {because}. It is neither used nor filled")
