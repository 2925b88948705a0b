"""Run Nix so that a binary cache can neither fail nor stall the job.

Nix takes some answers of a cache (418, 500 to a question; a damaged archive) for the failure of the whole command, and
2.34 waits minutes after a 429 (measured on 2.8, 2.26 and 2.34). `--fallback` would prevent most of that, but makes 2.8
abort and builds what a second try would fetch. So Nix keeps its own retries, its messages are watched, and a cache that
makes it fail or wait too long is left out when the command runs once more: what was built and fetched is not lost.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from nix_repro.nix.caches.incidents import Complaint, Incident, Trouble, cache_of, gather, read
from nix_repro.nix.caches.kinds import normal
from nix_repro.nix.caches.witness import Witness
from nix_repro.nix.command import Nix
from nix_repro.nix.log import events
from nix_repro.nix.log.recorder import Recorder
from nix_repro.nix.store_path import StorePath

#: Seconds to connect. Nix's own default is 15 (2.8: no limit).
CONNECT = 5
#: Seconds without data. Nix's own default is 300.
STALLED = 8
#: Seconds that Nix may announce to wait before it tries again.
PATIENCE = 5.0
#: A cache is in trouble for too long if there are this many complaints
COMPLAINTS = 5
#: within so many seconds,
WINDOW = 15.0
#: and more seconds between the first of them and now.
SPELL = 6.0
#: A build that has run for fewer seconds may be stopped to get rid of a cache, because that costs less than waiting.
YOUNG = 60.0
#: Seconds by which a file's time and an event's may differ.
SLACK = 0.1
#: How many complaints are kept: there is one per path that a cache fails to deliver.
KEPT = 2000
#: The first version whose `--fallback` builds what cannot be fetched; 2.8 aborts.
FALLBACK = (2, 26)


class _TooLong(Exception):
    """A cache makes Nix wait longer than the cache is worth."""


@dataclass
class _Watch:
    """Follows the log of one command and decides which caches to leave out: `blocked` ones make it wait, `fatal` ones
    make it fail."""

    recorder: Recorder
    caches: Sequence[str]
    clock: Callable[[], float]
    complaints: deque[Complaint]
    witness: Witness
    blocked: set[str] = field(default_factory=set)
    fatal: set[str] = field(default_factory=set)
    began: float = field(init=False)
    _asked: dict[str, str] = field(default_factory=dict)
    _last: str | None = None
    _doubted: list[tuple[str, Trouble, bool]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.began = self.clock()

    def feed(self, line: bytes) -> None:
        self.recorder.feed(line)
        if b'"msg"' in line or b'"start"' in line or not line.startswith(b"@nix"):
            match events.decode(line):
                case events.Message(text, error, _, own) if (trouble := read(text)) is not None:
                    self._take(trouble, fatal=error, own=own)
                case events.QueryStarted(path, cache):
                    self._last = self._asked[StorePath.of(path).digest] = normal(cache)
                case events.SubstituteStarted(_, _, cache):
                    self._last = normal(cache)
                case _:
                    pass
        if self.blocked and self._cheap_to_stop():
            raise _TooLong

    def _take(self, trouble: Trouble, *, fatal: bool, own: bool) -> None:
        cache = self._cache(trouble)
        if cache is None:
            return
        if not own and self.recorder.building():
            # A builder may have said it. What it is about one path is seen when that has been fetched, or has not.
            if trouble.path is not None:
                self._doubted = [*self._doubted, (cache, trouble, fatal)][-KEPT:]
                return
            if not (self._was_asked(cache, trouble) and self.witness.bears_out(cache, trouble)):
                return
        self._believe(cache, trouble, fatal=fatal)

    def finish(self) -> None:
        """The command is over: believe what was said of paths that the cache was asked for and has not delivered."""
        for cache, trouble, fatal in dict.fromkeys(self._doubted):
            asked = self._was_asked(cache, trouble) and not self._delivered(cache, trouble)
            if asked and self.witness.bears_out(cache, trouble):
                self._believe(cache, trouble, fatal=fatal)
        self._doubted.clear()

    def _believe(self, cache: str, trouble: Trouble, *, fatal: bool) -> None:
        now = self.clock()
        # Before it says so, Nix has waited for as long as it may.
        waited = min(STALLED, now - self.began) if trouble.kind == "slow" else 0.0
        self.complaints.append(Complaint(cache, trouble, now, waited))
        if trouble.kind == "untrusted":
            return
        if fatal:
            self.fatal.add(cache)
        recent = [
            c.at for c in self.complaints if c.cache == cache and c.at > now - WINDOW and c.trouble.kind != "untrusted"
        ]
        spell = len(recent) >= COMPLAINTS and now - recent[0] > SPELL
        if (trouble.delay or 0.0) > PATIENCE or trouble.kind == "slow" or spell:
            self.blocked.add(cache)

    def _cache(self, trouble: Trouble) -> str | None:
        """The cache that a trouble is with. Where Nix names none, it is the one that was asked for the path, or asked
        last."""
        if trouble.url:
            return cache_of(trouble.url, self.caches) or cache_of(
                trouble.url.replace("ssh://", "ssh-ng://", 1), self.caches
            )
        fetched = (normal(row.origin) for row in reversed(self.recorder.substitutions) if row.name == trouble.path)
        origin = next(fetched, None) or self._asked.get(trouble.path or "") or self._last
        return origin if origin in self.caches else None

    def _was_asked(self, cache: str, trouble: Trouble) -> bool:
        """Whether Nix has asked that cache for what the trouble is about, or is fetching from it."""
        name = trouble.url.removeprefix(f"{cache}/")
        digest = trouble.digest or (name.removesuffix(".narinfo") if name.endswith(".narinfo") else None)
        fetches = [a for a in self.recorder.substitutions if normal(a.origin) == cache]
        if digest is None:
            return name == "nix-cache-info" or any(a.stopped is None for a in fetches)
        return self._asked.get(digest) == cache or any(StorePath.of(a.name).digest == digest for a in fetches)

    def _delivered(self, cache: str, trouble: Trouble) -> bool:
        """Whether the path that it is about came from that cache after all: it was made while Nix was fetching it."""
        for row in self.recorder.substitutions:
            if normal(row.origin) == cache and StorePath.of(row.name).digest == trouble.digest:
                made = _made(row.name)
                if made is not None and row.started - SLACK <= made <= (row.stopped or self.clock()) + SLACK:
                    return True
        return False

    def _cheap_to_stop(self) -> bool:
        now = self.clock()
        return all(a.stopped is not None or now - a.started < YOUNG for a in self.recorder.builds)


def _made(path: str) -> float | None:
    """When a path came to be as it is, in seconds since the epoch; None when it is not there."""
    try:
        return os.lstat(path).st_ctime
    except OSError:
        return None


@dataclass
class Realiser:
    """Realises derivations whatever the caches do. A cache that was left out stays out; `incidents` tells why.

    `upstream` holds the URLs of the upstream caches, without parameters; `dropped` maps those that were left out to
    when (seconds since the epoch).
    """

    nix: Nix
    upstream: Sequence[str] = ()
    clock: Callable[[], float] = time.time
    dropped: dict[str, float] = field(default_factory=dict)
    _complaints: deque[Complaint] = field(default_factory=lambda: deque(maxlen=KEPT))
    _retried: set[str] = field(default_factory=set)
    _witness: Witness = field(init=False)

    def __post_init__(self) -> None:
        self._witness = Witness(self.nix.processes.stopped, self._trusted_keys)

    def expect(self, upstream: Sequence[str], unreachable: Mapping[str, str]) -> None:
        """Which caches are upstream's, and which of them do not answer and so are not asked again."""
        self.upstream = tuple(normal(url) for url in upstream)
        configured = {normal(url) for url in self.configured()}
        self.leave_out({normal(url): why for url, why in unreachable.items() if normal(url) in configured})

    def leave_out(self, unreachable: Mapping[str, str]) -> None:
        """Don't ask these caches at all; the values say why."""
        for url, why in unreachable.items():
            self.dropped[url] = self.clock()
            self._complaints.append(Complaint(url, Trouble("dead", url, why), self.clock()))

    def realise(self, args: Sequence[str], paths: Iterable[str], recorder: Recorder) -> bool:
        """`nix-store --realise ARGS PATHS`, repeated without the caches at fault as long as there are any. Returns
        whether Nix says that it succeeded."""
        wanted = list(paths)
        configured = {normal(url): url for url in self.configured()}
        before = recorder.failures()
        while True:
            left = {url: raw for url, raw in configured.items() if url not in self.dropped}
            watch = _Watch(recorder, list(left), self.clock, self._complaints, self._witness)
            failed = self._once(args, wanted, watch, list(left.values()))
            bad = watch.blocked | (watch.fatal if failed else set())
            if not bad:
                return not failed
            # A transient fault of an upstream cache must not make us build everything, so with --fallback it is tried
            # once more.
            keep = {
                u
                for u in bad & set(self.upstream)
                if u not in self._retried and self._fallback() and u not in watch.blocked
            }
            self._retried |= keep
            self.dropped |= dict.fromkeys(bad - keep, self.clock())
            recorder.forget_failures(before)

    def _once(self, args: Sequence[str], paths: Sequence[str], watch: _Watch, substituters: list[str]) -> bool:
        options = [("substituters", " ".join(substituters))] if self.dropped else []
        settings = self.nix.settings()
        if not 0 < settings.get("connect-timeout", 0) <= CONNECT:
            options.append(("connect-timeout", str(CONNECT)))
        if settings.get("stalled-download-timeout", 0) > STALLED:
            options.append(("stalled-download-timeout", str(STALLED)))
        nix = self.nix.with_options(options) if watch.caches or self.dropped else self.nix
        fallback = ["--fallback"] if self._retried else []
        try:
            code = nix.stream(watch.feed, "nix-store", "--realise", *fallback, *args, paths=paths).returncode
        except _TooLong:
            return True
        else:
            watch.recorder.exited(code)
            return code != 0
        finally:
            watch.recorder.ended()
            watch.finish()

    def configured(self) -> list[str]:
        """The URLs that Nix is configured to ask, in its order."""
        settings = self.nix.settings()
        urls = settings.get("substituters", []) if settings.get("substitute", True) else []
        given = dict(self.nix.options)
        return given["substituters"].split() if "substituters" in given else list(urls)

    def _trusted_keys(self) -> set[str]:
        """The names of the keys that Nix trusts."""
        return {key.partition(":")[0] for key in self.nix.settings().get("trusted-public-keys", [])}

    def _fallback(self) -> bool:
        return self.nix.release().series >= FALLBACK

    def incidents(self) -> list[Incident]:
        """What went wrong with the caches so far."""
        return gather(list(self._complaints), self.dropped, self.clock())
