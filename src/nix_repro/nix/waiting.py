"""Waiting for what is elsewhere: for how long, and in whose words it is said that nothing came.

Nix's own words are "unexpected end-of-file"; what it starts, such as ssh, knows better.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable

from nix_repro.nix.command import NixError
from nix_repro.text import last_line

#: What precedes an error and is none.
_PLAIN = re.compile(r"warning:|Store URL:|Version:|Trusted:|\*\* WARNING|Warning: Permanently added")


def words(error: NixError) -> str:
    """What went wrong in one line: what ssh said, or else Nix's last error."""
    said = [line.strip() for line in error.before.splitlines() if line.strip() and not _PLAIN.match(line.strip())]
    return "; ".join(dict.fromkeys(said[-3:])) or last_line(str(error)).removeprefix("error:").strip()


def within(limit: float, what: str, clock: Callable[[], float] = time.monotonic) -> Callable[[], None]:
    """Raises `NixError` with these words when it is called after the limit (seconds)."""
    until = clock() + limit

    def check() -> None:
        if clock() > until:
            raise NixError(what)

    return check
