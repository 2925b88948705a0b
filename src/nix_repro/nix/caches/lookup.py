"""Which store paths a binary cache has: narinfo look-ups, many at once, with time limits.

Not through Nix: `nix path-info --store` asks one path after the other, and a cache that answers slowly or with an
error would stall or end it. HTTP(S) and file caches are asked directly; any other kind (s3, ssh) through Nix.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Event, Thread
from typing import Any
from urllib.parse import unquote, urlsplit

from nix_repro.nix.caches.http import passwords, session
from nix_repro.nix.caches.kinds import normal
from nix_repro.nix.command import Nix, NixError
from nix_repro.nix.store_path import StorePath
from nix_repro.nix.waiting import within, words

#: Look-ups at once.
WORKERS = 24
#: Seconds for one look-up, as far as a server keeps silent for them.
TIMEOUT = 5.0
#: Seconds by which the whole of a look-up may take longer.
SLACK = 1.0
#: Seconds for all look-ups of one cache.
BUDGET = 30.0
#: How many look-ups have to fail before a cache that answered none is asked no more.
PROBES = 4
#: Bytes of a description of a path that are looked at.
BYTES = 1 << 16
#: Seconds to wait before what a cache did not answer is asked again, one for each time.
PAUSES = (0.3, 1.0)

#: True, False, or None for "no answer".
Lookup = Callable[[str], bool | None]


@dataclass
class Cache:
    """What came of asking one cache: why it failed last, if it did, and what of all it was asked it did not answer.
    `alive` says that it answered at all, if only with an error, `locked` that it wants a password."""

    url: str
    said: str = "did not answer within its time limit"
    alive: bool = False
    locked: bool = False
    asked: int = 0
    unanswered: set[str] = field(default_factory=set)

    def line(self) -> str:
        """The failures of a cache that answers most of what it is asked."""
        return f"{self.said} to {len(self.unanswered)} of {self.asked} look-ups, each time it was asked"


class BinaryCaches:
    """The caches that answer. `unreachable` maps those that did not to why; they are not asked again. `degraded` holds
    those that answered, but not every look-up."""

    def __init__(self, nix: Nix, urls: Iterable[str]) -> None:
        # What only Nix can ask needs its parameters.
        self._given = {normal(url): url for url in reversed(list(urls))}
        self.urls = tuple(reversed(self._given))
        self.unreachable: dict[str, str] = {}
        self._nix = nix
        self._known: dict[str, str] = {}
        self._caches: dict[str, Cache] = {}

    @property
    def degraded(self) -> list[Cache]:
        return [cache for url, cache in self._caches.items() if cache.unanswered and url not in self.unreachable]

    @property
    def locked(self) -> dict[str, str]:
        """Those that wanted a password, and what may help. Nix takes that for "not there"."""
        _, wrong = passwords(self._settings())
        file = self._settings().get("netrc-file") or "netrc-file"
        may_help = wrong or f"there is none for it in {file}, or another one"
        return {url: may_help for url, cache in self._caches.items() if cache.locked}

    def _settings(self) -> Mapping[str, Any]:
        try:
            return self._nix.settings()
        except NixError:
            return {}

    def others(self, urls: Iterable[str]) -> BinaryCaches:
        """Other caches, with all that is known of those that are among these too."""
        found = BinaryCaches(self._nix, urls)
        found.unreachable |= {url: why for url, why in self.unreachable.items() if url in found.urls}
        found._known |= {path: url for path, url in self._known.items() if url in found.urls}
        found._caches |= {url: cache for url, cache in self._caches.items() if url in found.urls}
        return found

    def where(self, paths: Iterable[str]) -> dict[str, str]:
        """The first cache that has it, by path; paths that none has are missing."""
        wanted = list(dict.fromkeys(paths))
        for url in self.urls:
            missing = [path for path in wanted if path not in self._known]
            if missing and url not in self.unreachable:
                self._known |= dict.fromkeys(self._ask(url, missing), url)
        return {path: self._known[path] for path in wanted if path in self._known}

    def available(self, paths: Iterable[str]) -> set[str] | None:
        """The paths that one of the caches has, or None when not one of the caches answers."""
        found = set(self.where(paths))
        return None if self.urls and len(self.unreachable) == len(self.urls) else found

    def _ask(self, url: str, paths: list[str]) -> list[str]:
        cache = self._caches.setdefault(url, Cache(url))
        lookup = self._lookup(cache)
        if lookup is None:
            return self._ask_nix(url, paths)
        deadline = time.monotonic() + BUDGET
        answers: dict[str, bool] = {}

        def ask(some: list[str], until: float) -> None:
            answers.update(self._at_once(lookup, some, min(until, deadline)))

        # One question first: a dead cache then costs one time limit. One that fails at it may have failed at that only.
        soon = time.monotonic() + TIMEOUT + SLACK
        ask(paths[:1], soon)
        if cache.alive and not answers:
            ask(paths[1:PROBES], soon)
        for pause in PAUSES:
            if cache.alive and not answers and not cache.asked and self._pause(pause, deadline):
                ask(paths[:PROBES], deadline)
        if not answers and not cache.asked:
            if not self._nix.processes.stopped():
                self.unreachable.setdefault(url, cache.said)
            return []
        ask([path for path in paths if path not in answers], deadline)
        for pause in PAUSES:
            missing = [path for path in paths if path not in answers]
            if missing and self._pause(pause, deadline):
                ask(missing, deadline)
        cache.asked += len(paths)
        missing = [path for path in paths if path not in answers]
        cache.unanswered.update(missing)
        if missing and time.monotonic() >= deadline:
            self.unreachable.setdefault(url, "did not answer within its time limit")
        return [path for path in paths if answers.get(path)]

    def _pause(self, seconds: float, until: float) -> bool:
        """Wait a moment. Returns whether there is any point in going on."""
        if self._nix.processes.stopped() or time.monotonic() + seconds >= until:
            return False
        time.sleep(seconds)
        return not self._nix.processes.stopped()

    def _at_once(self, lookup: Lookup, paths: list[str], until: float) -> dict[str, bool]:
        """The answers that come in time. Nobody waits for the others: a server that sends a byte now and then could
        keep a thread for ever."""
        waiting: SimpleQueue[str] = SimpleQueue()
        found: SimpleQueue[tuple[str, bool | None]] = SimpleQueue()
        over = Event()
        for path in paths:
            waiting.put(path)

        def work() -> None:
            while not over.is_set():
                try:
                    path = waiting.get_nowait()
                except Empty:
                    return
                found.put((path, lookup(path)))

        for _ in range(0 if self._nix.processes.stopped() else min(WORKERS, len(paths))):
            Thread(target=work, daemon=True, name="look-up").start()
        answers: dict[str, bool] = {}
        for _ in paths:
            row = self._next(found, until)
            if row is None:
                break
            if row[1] is not None:
                answers[row[0]] = row[1]
        over.set()
        return answers

    def _next(self, found: SimpleQueue[tuple[str, bool | None]], until: float) -> tuple[str, bool | None] | None:
        while (left := until - time.monotonic()) > 0 and not self._nix.processes.stopped():
            try:
                return found.get(timeout=min(left, 0.1))
            except Empty:
                continue
        return None

    def _lookup(self, cache: Cache) -> Lookup | None:
        parts = urlsplit(cache.url)
        if parts.scheme == "file":
            directory = Path(unquote(parts.path))
            if not directory.is_dir():
                cache.said = "there is no such directory"
                return lambda _path: None
            return lambda path: (directory / _narinfo(path)).is_file()
        return _http(cache, self._settings()) if parts.scheme in ("http", "https") else None

    def _ask_nix(self, url: str, paths: list[str]) -> list[str]:
        try:
            late = "did not answer within its time limit"
            there = self._nix.with_store(self._given[url]).meanwhile(lambda: within(BUDGET, late))
            return list(there.path_info(paths))
        except NixError as error:
            self.unreachable[url] = words(error)
            return []


def _http(cache: Cache, settings: Mapping[str, Any]) -> Lookup:
    import requests

    asking = session(settings, cache.url, WORKERS)

    def lookup(path: str) -> bool | None:
        try:
            # As Nix asks: some refuse HEAD, or answer it otherwise.
            url = f"{cache.url}/{_narinfo(path)}"
            with asking.get(url, timeout=TIMEOUT, allow_redirects=True, stream=True) as answer:
                status = answer.status_code
                content = next(answer.iter_content(BYTES), b"") if status == 200 else b""
        except requests.RequestException as error:
            cache.said = type(error).__name__
            return None
        cache.alive = True
        if status == 200 and b"StorePath:" in content:
            return True
        # Nix takes these three for "not there"; a bucket without list permission says 403.
        if status in (401, 403, 404):
            cache.locked |= status == 401
            return False
        cache.said = f"answered {status}" if status != 200 else "answered what is no description of a path"
        return None

    return lookup


def _narinfo(path: str) -> str:
    return f"{StorePath.of(path).digest}.narinfo"
