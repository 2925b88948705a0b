"""Which store paths a binary cache has: narinfo look-ups, many at once, with time limits.

Not through Nix: `nix path-info --store` asks one path after the other, and a cache that answers slowly or with an
error would stall or end it. HTTP(S) and file caches are asked directly; any other kind (s3, ssh) through Nix.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import unquote, urlsplit

from nix_repro.nix.caches.kinds import normal
from nix_repro.nix.command import Nix, NixError
from nix_repro.nix.store_path import StorePath

#: Look-ups at once.
WORKERS = 24
#: Seconds for one.
TIMEOUT = 5.0
#: Seconds for all of one cache's.
BUDGET = 30.0

#: True, False, or None for "no answer".
Lookup = Callable[[str], bool | None]


class BinaryCaches:
    """The caches that answer. `unreachable` maps those that did not to why; they are not asked again."""

    def __init__(self, nix: Nix, urls: Iterable[str]) -> None:
        self.urls = tuple(dict.fromkeys(normal(url) for url in urls))
        self.unreachable: dict[str, str] = {}
        self._nix = nix
        self._known: dict[str, str] = {}

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
        lookup = self._lookup(url)
        if lookup is None:
            return self._ask_nix(url, paths)
        # One question first: a dead cache then costs one time limit, not one for every worker.
        deadline = time.monotonic() + BUDGET

        def in_time() -> bool:
            return time.monotonic() < deadline and not self._nix.processes.stopped()

        answers = [lookup(paths[0])]
        if answers[0] is None:
            return []
        with ThreadPoolExecutor(WORKERS) as pool:
            answers += pool.map(lambda path: lookup(path) if in_time() else None, paths[1:])
        if None in answers:
            self.unreachable.setdefault(url, "did not answer within its time limit")
        return [path for path, answer in zip(paths, answers, strict=True) if answer]

    def _lookup(self, url: str) -> Lookup | None:
        parts = urlsplit(url)
        if parts.scheme == "file":
            directory = Path(unquote(parts.path))
            if not directory.is_dir():
                self.unreachable[url] = "there is no such directory"
                return lambda _path: None
            return lambda path: (directory / _narinfo(path)).is_file()
        return self._http(url) if parts.scheme in ("http", "https") else None

    def _http(self, url: str) -> Lookup:
        import requests

        session = requests.Session()
        session.mount(url, requests.adapters.HTTPAdapter(pool_maxsize=WORKERS))

        def lookup(path: str) -> bool | None:
            try:
                answer = session.head(f"{url}/{_narinfo(path)}", timeout=TIMEOUT, allow_redirects=True)
            except requests.RequestException as error:
                self.unreachable.setdefault(url, type(error).__name__)
                return None
            if answer.status_code == 200:
                return True
            # Nix takes these three for "not there"; a bucket without list permission says 403.
            if answer.status_code in (401, 403, 404):
                return False
            self.unreachable.setdefault(url, f"answered {answer.status_code}")
            return None

        return lookup

    def _ask_nix(self, url: str, paths: list[str]) -> list[str]:
        try:
            return list(self._nix.with_store(url).path_info(paths))
        except NixError as error:
            self.unreachable[url] = str(error).splitlines()[0]
            return []


def _narinfo(path: str) -> str:
    return f"{StorePath.of(path).digest}.narinfo"
