"""Follows the log of one command of Nix, and decides which caches it has to do without."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from nix_repro.nix.caches.incidents import Complaint, Trouble, cache_of, read
from nix_repro.nix.caches.kinds import normal
from nix_repro.nix.caches.witness import Witness
from nix_repro.nix.log import events
from nix_repro.nix.log.intervals import covered
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
#: How many doubted complaints are kept: there is one per path that a cache fails to deliver.
KEPT = 2000
#: The same limits for evaluation, which asks caches for little, one thing after the other: seconds without data,
EVALUATION_STALLED = 4
#: seconds without any answer, however Nix is configured,
SILENCE = 5.0
#: and seconds of waiting for one cache in all.
EVALUATION_PATIENCE = 5.0
#: What is left of each once another cache has used up the time that caches may cost an evaluation.
HURRY = 0.5


class TooLong(Exception):
    """A cache makes Nix wait longer than the cache is worth."""


@dataclass
class Watch:
    """Follows the log of one command and decides which caches to leave out: `blocked` ones make it wait, `fatal` ones
    make it fail. `asked` collects which caches were asked for a path, by its digest: not those that Nix remembers to
    have asked before."""

    stalled: int = field(default=STALLED, kw_only=True)

    recorder: Recorder
    caches: Sequence[str]
    clock: Callable[[], float]
    complaints: deque[Complaint]
    witness: Witness
    asked: dict[str, set[str]] = field(default_factory=dict)
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
                case events.Message() as message:
                    self._hear(message)
                case events.QueryStarted(path, cache):
                    digest = StorePath.of(path).digest
                    self._last = self._asked[digest] = normal(cache)
                    self.asked.setdefault(digest, set()).add(normal(cache))
                case events.SubstituteStarted(_, _, cache):
                    self._last = normal(cache)
                case events.TransferStarted(number, url):
                    self._transfer(number, url)
                case _:
                    pass
        self._stop_if_blocked()

    def idle(self) -> None:
        """Nothing has come for a moment."""
        self._stop_if_blocked()

    def _stop_if_blocked(self) -> None:
        if self.blocked and self._cheap_to_stop():
            raise TooLong

    def _transfer(self, number: int, url: str) -> None:
        """Nix asks for a URL."""

    def _hear(self, message: events.Message) -> None:
        if (trouble := read(message.text)) is not None:
            self._take(trouble, fatal=message.error, own=message.own)

    def _take(self, trouble: Trouble, *, fatal: bool, own: bool, cache: str | None = None) -> None:
        cache = cache or self._cache(trouble)
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
        waited = min(self.stalled, now - self.began) if trouble.kind == "slow" else 0.0
        self.complaints.append(Complaint(cache, trouble, now, waited))
        if trouble.kind == "untrusted":
            return
        if fatal:
            self.fatal.add(cache)
        if (trouble.delay or 0.0) > PATIENCE or trouble.kind == "slow" or self._wearing(cache):
            self.blocked.add(cache)

    def _wearing(self, cache: str) -> bool:
        """Whether the cache's small troubles come to more than it is worth."""
        now = self.clock()
        recent = [
            c.at for c in self.complaints if c.cache == cache and c.at > now - WINDOW and c.trouble.kind != "untrusted"
        ]
        return len(recent) >= COMPLAINTS and now - recent[0] > SPELL

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


@dataclass
class EvaluationWatch(Watch):
    """The same for an evaluation. What it prints, and what it ends with, the flake may have written: that is believed
    only when it looks as Nix's own warnings do, or when a look at the cache bears it out. `others`: caches count that
    Nix is not configured to ask, which a flake has brought along. `hurried`: another one has cost enough already."""

    others: bool = True
    hurried: bool = False
    open: dict[int, tuple[str, str]] = field(default_factory=dict)
    moved: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.share = HURRY if self.hurried else 1.0
        self.stalled = int(EVALUATION_STALLED * self.share)

    def feed(self, line: bytes) -> None:
        if b'"stop"' in line:
            match events.decode(line):
                case events.Stopped(number) if number in self.open:
                    cache, _ = self.open.pop(number)
                    self.moved[cache] = self.clock()
                case _:
                    pass
        # Nix says again and again how far it is, although nothing has come.
        self._look_for_silence()
        super().feed(line)

    def idle(self) -> None:
        self._look_for_silence()
        super().idle()

    def _look_for_silence(self) -> None:
        now = self.clock()
        for cache in {cache for cache, _ in self.open.values()} - self.blocked:
            urls = [url for other, url in self.open.values() if other == cache]
            silent = now - self.moved[cache]
            # An archive may take its time, and a builder may pretend that something is fetched.
            if (
                silent > SILENCE * self.share
                and not any("/nar/" in url for url in urls)
                and not self.recorder.building()
            ):
                self.complaints.append(
                    Complaint(cache, Trouble("slow", urls[0], "did not answer in time"), now, silent)
                )
                self.blocked.add(cache)

    def spent(self, cache: str) -> float:
        """Seconds that Nix has waited for a cache, or has said it would."""
        rows = [c for c in self.complaints if c.cache == cache and c.at >= self.began]
        return covered([(c.at - c.waited, c.at + (c.trouble.delay or 0.0)) for c in rows])

    def _wearing(self, cache: str) -> bool:
        return self.spent(cache) > EVALUATION_PATIENCE * self.share

    def _transfer(self, number: int, url: str) -> None:
        if (cache := self._cache_at(url)) is not None and not self.recorder.building():
            if all(other != cache for other, _ in self.open.values()):
                self.moved[cache] = self.clock()
            self.open[number] = cache, url

    def _cache_at(self, url: str) -> str | None:
        found = cache_of(url, self.caches)
        if found is None and self.others and url.endswith((".narinfo", "/nix-cache-info")):
            return url.rpartition("/")[0]
        return found

    def _hear(self, message: events.Message) -> None:
        text = message.text
        if not text.startswith(("warning:", "error:")):
            return
        trouble = read(_last_word(text) if message.error else text)
        cache = self._cache(trouble) or self._cache_at(trouble.url) if trouble is not None else None
        if trouble is None or cache is None:
            return
        self.moved[cache] = self.clock()
        if not message.error:
            self._take(trouble, fatal=False, own=message.own, cache=cache)
        elif self.witness.bears_out(cache, trouble):
            self._believe(cache, trouble, fatal=True)


def _last_word(text: str) -> str:
    """The end of an error. What comes before shows where it arose, and so the flake's source; behind it there may be
    what a server said."""
    words = text.rpartition("response body:")[0] or text
    return words[max(words.rfind("error: "), 0) :]


def _made(path: str) -> float | None:
    """When a path came to be as it is, in seconds since the epoch; None when it is not there."""
    try:
        return os.lstat(path).st_ctime
    except OSError:
        return None
