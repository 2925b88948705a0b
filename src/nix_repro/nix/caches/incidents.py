"""What Nix says about binary caches that misbehave → one line each: what happened, what it cost, what to do. Pure.

The patterns are the words of Nix 2.8, 2.26 and 2.34, seen on caches that were made to fail.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from nix_repro.nix.caches.kinds import normal
from nix_repro.nix.log.intervals import covered
from nix_repro.nix.store_path import DIGEST, StorePath

TroubleKind = Literal["rate-limited", "refused", "error", "dead", "slow", "untrusted", "corrupt", "full"]


@dataclass(frozen=True)
class Trouble:
    """One complaint. `url` is what Nix was fetching, or the cache, or "" where Nix names only a store path or its hash
    (`path`), or nothing.

    `delay` are the seconds that Nix said it would wait before trying again; None when it does not try again.
    """

    kind: TroubleKind
    url: str
    said: str
    delay: float | None = None
    path: str | None = None

    @property
    def digest(self) -> str | None:
        """The digest of the path that it is about, if it is about one."""
        return (StorePath.of(self.path).digest or self.path) if self.path else None


_DOWNLOAD = re.compile(r"unable to (?:download|upload to) '([^']+)': (.*)", re.DOTALL)
_RETRY = re.compile(r"retrying in (\d+) ms")
_STATUS = re.compile(r"HTTP error (\d{3})")
_UNSIGNED = re.compile(r"substitute for '([^']+)' from '([^']+)'[^\n]*not signed by any of the keys")
_GONE = re.compile(r"file '[^']*' does not exist in binary cache(?: '([^']+)')?")
_HASH = re.compile(r"hash mismatch importing path '([^']+)'")
_BROKEN = re.compile(
    r"(?:failed to (?:decompress|read compressed|open archive)|bad archive|unexpected end of (?:file|nar)"
    r"|input .{0,20} is corrupt)",
    re.IGNORECASE,
)
_NARINFO = re.compile(rf"NAR info file '({DIGEST})\.narinfo' is corrupt")
#: What Nix makes of a field in a narinfo or nix-cache-info that is none; it names neither the file nor the cache.
_NONSENSE = re.compile(
    r"too short to be a valid store path|signature is (?:corrupt|not valid)|invalid character in Base64|^error: stoi$"
    r"|compression not recognized|No such filter"
)
_NO_CACHE = re.compile(
    r"'([^']+)' does not appear to be a binary cache|binary cache '([^']+)' is for Nix stores with prefix"
)
_UNKNOWN = re.compile(r"don't know how to open Nix store '([^']+)'")
_SSH = re.compile(r"(?:cannot connect to|failed to start SSH connection to) '([^']+)'")
_SLOW = re.compile(r"too slow|[Tt]imeout was reached|timed out|[Ss]talled")


def read(message: str) -> Trouble | None:
    """The trouble with a cache that a message of Nix tells of, or None."""
    if found := _DOWNLOAD.search(message):
        url, why = found.groups()
        again = _RETRY.search(why)
        kind, said = _download(why)
        return Trouble(kind, url, said, int(again.group(1)) / 1000 if again else None)
    if found := _UNSIGNED.search(message):
        return Trouble("untrusted", found.group(2), "its signature is by no trusted key", path=found.group(1))
    if found := _GONE.search(message):
        return Trouble("corrupt", found.group(1) or "", "an archive that it lists is not there")
    if found := _HASH.search(message):
        return Trouble("corrupt", "", "an archive does not have the hash it is listed with", path=found.group(1))
    if found := _NARINFO.search(message):
        return Trouble("corrupt", "", "the description of a path (.narinfo) is damaged", path=found.group(1))
    if _NONSENSE.search(message):
        return Trouble("corrupt", "", "the description of a path (.narinfo), or its own (nix-cache-info), is damaged")
    if found := _NO_CACHE.search(message):
        said = "it has no nix-cache-info" if found.group(1) else "it is for another store directory"
        return Trouble("dead", found.group(1) or found.group(2), f"Nix does not use it: {said}")
    if found := _UNKNOWN.search(message):
        return Trouble("dead", normal(found.group(1)), "this Nix cannot use such a cache")
    if found := _SSH.search(message):
        return Trouble("dead", f"ssh://{found.group(1)}", "could not be reached")
    if _BROKEN.search(message):
        return Trouble("corrupt", "", "an archive is damaged")
    return None


def _download(why: str) -> tuple[TroubleKind, str]:
    status = _STATUS.search(why)
    code = int(status.group(1)) if status else None
    if code == 429:
        return "rate-limited", "answered 429 (too many requests)"
    if code == 418:
        return "refused", "answered 418: Magic Nix Cache says so when GitHub's cache service limits it"
    if code in (413, 507):
        return "full", f"answered {code}: it is full"
    if code is not None and code >= 400:
        return "error", f"answered {code}"
    if "partial file" in why or code == 200:
        return "corrupt", "broke off in the middle of an archive"
    if _SLOW.search(why):
        return "slow", "did not answer in time"
    return "dead", "could not be reached"


_REMEDY: dict[TroubleKind, str] = {
    "rate-limited": "fewer jobs at once, or another cache for this project",
    "refused": "GitHub allows 200 cache writes a minute and repository: fewer jobs at once, or another cache",
    "error": "look at the server's own log; without it the paths were fetched elsewhere or built",
    "dead": "start it, correct its URL, or take it out of `substituters`",
    "slow": "a nearer cache, or take it out of `substituters`",
    "untrusted": "add its public key to `trusted-public-keys` (for a Cachix cache: `cachix use NAME`)",
    "corrupt": "delete the path from that cache and upload it again",
    "full": "make room: delete old entries or raise the quota",
}


@dataclass(frozen=True)
class Incident:
    """All troubles of one kind with one cache: how often, what it cost in seconds, and whether the cache was left
    out: of the rest of the run (`dropped`), or of evaluation only (`tired`)."""

    cache: str
    kind: TroubleKind
    said: str
    count: int
    seconds: float
    dropped: bool = False
    tired: bool = False

    def line(self) -> str:
        """The incident as people read it."""
        times = f" {self.count} times" if self.count > 1 else ""
        if self.kind == "untrusted":
            cost = f"{self.count} {'path was' if self.count == 1 else 'paths were'} not taken from it"
        else:
            cost = f"cost {self.seconds:.1f} s" if self.seconds >= 0.05 else "cost next to nothing"
        dropped = "; it was left out of evaluation" if self.tired else ""
        dropped = "; it was left out of the rest of this run" if self.dropped else dropped
        said = self.said if self.kind == "untrusted" else self.said + times
        return f"{self.cache}: {said}; {cost}{dropped}. To do: {_REMEDY[self.kind]}"


def cache_of(url: str, caches: Iterable[str]) -> str | None:
    """Which of the caches a URL belongs to; the longest that fits."""
    fits = [cache for cache in caches if url == cache or url.startswith(f"{cache}/")]
    return max(fits, key=len, default=None)


@dataclass(frozen=True)
class Complaint:
    """A trouble, the cache it is with, when it was said (seconds since the epoch), and for how long Nix had waited
    then."""

    cache: str
    trouble: Trouble
    at: float
    waited: float = 0.0


def gather(
    complaints: Sequence[Complaint], dropped: Mapping[str, float], tired: Mapping[str, float], ended: float
) -> list[Incident]:
    """The incidents, one for each cache and kind. `dropped` and `tired` map caches that were left out, of the rest of
    the run or of evaluation, to when that was; waiting that had not ended by then, or by the end of the command
    (`ended`), does not count."""
    groups: dict[tuple[str, TroubleKind], list[Complaint]] = {}
    for complaint in complaints:
        groups.setdefault((complaint.cache, complaint.trouble.kind), []).append(complaint)
    found: list[Incident] = []
    for (cache, kind), rows in groups.items():
        outs = [when[cache] for when in (dropped, tired) if cache in when] + [ended]
        waits = [
            (row.at - row.waited, _over(row, min(at for at in outs if at >= row.at or at == ended))) for row in rows
        ]
        paths = {row.trouble.path for row in rows if row.trouble.path is not None}
        count = len(paths) if kind == "untrusted" else len(rows)
        found.append(
            Incident(cache, kind, rows[0].trouble.said, count, covered(waits), cache in dropped, cache in tired)
        )
    return found


def _over(complaint: Complaint, stop: float) -> float:
    """When the waiting ended that a complaint announces."""
    return max(min(complaint.at + (complaint.trouble.delay or 0.0), stop), complaint.at)
