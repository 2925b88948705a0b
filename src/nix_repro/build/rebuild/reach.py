"""Whether another store can be used: found out before anything is built for it, and again while it keeps silent."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

from nix_repro.errors import UsageError
from nix_repro.nix.command import Nix, NixError
from nix_repro.nix.waiting import within, words
from nix_repro.text import seconds

#: Seconds for a store to answer that it is there.
PING = 30.0
#: Seconds for a store to answer a question.
ANSWER = 300.0
#: Seconds between two looks whether a store is still there that is copied to, or builds.
PULSE = 60.0
#: Caches, in which nothing can be built.
_CACHE = re.compile(r"(?:https?|s3|file)://")


def refuse_unusable(nix: Nix, url: str) -> None:
    """Raises `UsageError` when nothing can be built in the store."""
    if _CACHE.match(url):
        raise UsageError(f"rebuilder {url}: a binary cache cannot build; name a store, such as ssh-ng://HOST")
    if (why := silence(nix, url)) is not None:
        raise UsageError(f"rebuilder {url} cannot be used: {why}")


def silence(nix: Nix, url: str) -> str | None:
    """Why the store does not answer, None when it does."""
    there = nix.with_store(url).meanwhile(lambda: within(PING, f"it did not answer within {seconds(PING)}"))
    try:
        there.ping()
    except NixError as error:
        return words(error)
    return None


def pulse(look: Callable[[], str | None], clock: Callable[[], float] = time.monotonic) -> Callable[[], None]:
    """Looks every now and then; raises `NixError` when there is a reason why there is no answer."""
    due = clock() + PULSE

    def check() -> None:
        nonlocal due
        if clock() < due:
            return
        if (why := look()) is not None:
            raise NixError(f"the other store no longer answers: {why}")
        due = clock() + PULSE

    return check
