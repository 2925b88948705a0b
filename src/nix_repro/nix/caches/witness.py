"""Does a cache bear out what is said of it? Asked where a builder may have said it in Nix's name.

One look at what is complained about: a server that answers as it should is believed, and the complaint is not.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from nix_repro.nix.caches.http import session
from nix_repro.nix.caches.incidents import Trouble

if TYPE_CHECKING:
    import requests

#: Seconds for one look, all in all.
LOOK = 6.0
#: Bytes that are read of an archive to see whether it breaks off.
BYTES = 64 * 1024**2
#: Seconds for which a look at a cache speaks for all that is complained about in the same way.
FRESH = 2.0
_SIGNED = re.compile(r"^Sig: ([^:\n]+):", re.MULTILINE)


class Witness:
    """`stopped` says that the run is to end, `keys` are the names of the keys that Nix trusts, `settings` are Nix's;
    `clock` is in seconds, and nobody sets it back."""

    def __init__(
        self,
        stopped: Callable[[], bool],
        keys: Callable[[], Collection[str]],
        settings: Callable[[], Mapping[str, Any]] = dict,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stopped = stopped
        self._keys = keys
        self._settings = settings
        self._clock = clock
        self._seen: dict[tuple[str, str], tuple[float, bool]] = {}

    def bears_out(self, cache: str, trouble: Trouble) -> bool:
        """Whether a look at the cache shows such a trouble now. What cannot be looked at bears out nothing."""
        key = cache, trouble.path or trouble.url.rpartition(".")[2] or trouble.kind
        at, found = self._seen.get(key, (float("-inf"), False))
        if self._clock() - at > FRESH:
            found = self._look(cache, trouble)
            self._seen[key] = self._clock(), found
        return found

    def _look(self, cache: str, trouble: Trouble) -> bool:
        parts = urlsplit(cache)
        if parts.scheme == "file":
            return not Path(unquote(parts.path)).is_dir()
        if parts.scheme not in ("http", "https"):
            return False
        answers: SimpleQueue[bool] = SimpleQueue()
        keys = self._keys() if trouble.kind == "untrusted" else ()
        # A thread of its own, which nobody waits for: a server can keep it busy for ever.
        asking = session(self._settings(), cache)
        Thread(target=lambda: answers.put(_troubled(asking, cache, trouble, keys)), daemon=True, name="witness").start()
        until = self._clock() + LOOK
        while (left := until - self._clock()) > 0 and not self._stopped():
            try:
                return answers.get(timeout=min(left, 0.1))
            except Empty:
                continue
        return True


def _troubled(asking: requests.Session, cache: str, trouble: Trouble, keys: Collection[str]) -> bool:
    import requests

    url = trouble.url if trouble.url.startswith(f"{cache}/") else f"{cache}/nix-cache-info"
    if trouble.digest is not None:
        url = f"{cache}/{trouble.digest}.narinfo"
    try:
        with asking.get(url, timeout=LOOK, stream=True) as answer:
            if answer.status_code >= 400:
                # What it does not have it cannot have delivered badly, and that is no trouble.
                return answer.status_code not in (401, 403, 404)
            if trouble.kind == "untrusted":
                signed = _SIGNED.findall(answer.raw.read(BYTES, decode_content=True).decode("utf-8", "replace"))
                return not any(name in keys for name in signed)
            left = BYTES
            for chunk in answer.iter_content(1 << 16):
                left -= len(chunk)
                if left <= 0:
                    break
    except requests.RequestException:
        return True
    # It delivers. What Nix makes of a path's archive it alone knows.
    return trouble.path is not None
