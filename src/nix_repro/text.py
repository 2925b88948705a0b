"""How numbers and names are said to people, in messages and in everything that shows the report."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime


def seconds(value: float) -> str:
    """A duration as people say it: `0.4 s`, `38 s`, `1m 12s`, `2h 03m`."""
    if value < 0.05:
        return "0 s"
    if value < 9.95:
        return f"{value:.1f} s"
    whole = round(value)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60}m {whole % 60:02d}s"
    return f"{whole // 3600}h {whole % 3600 // 60:02d}m"


def size(value: float) -> str:
    """Bytes in decimal units, as caches and file systems of today count them."""
    for unit in ("B", "kB", "MB", "GB"):
        if value < 999.5:
            return f"{value:.0f} {unit}" if unit == "B" or value >= 99.5 else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"


def plural(count: int, one: str, many: str | None = None) -> str:
    """`1 derivation`, `5,000 derivations`."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def some(names: Sequence[str], shown: int = 3) -> str:
    """The first few of many names: `a, b, c and 4 more`."""
    rest = len(names) - shown
    return ", ".join(names[:shown]) + (f" and {rest} more" if rest > 0 else "")


def when(at: float) -> str:
    """A time in seconds since the epoch, to the minute."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M UTC")


def ago(value: float) -> str:
    """How many seconds ago, roughly. A clock that is wrong may put it anywhere."""
    if value < -60:
        return "in the future"
    if value < 3600:
        return "less than an hour ago"
    return f"{plural(int(value // 3600), 'hour')} ago" if value < 86400 else f"{plural(int(value // 86400), 'day')} ago"


def last_line(said: str) -> str:
    """The last line of what was said, or "" when nothing was."""
    return (said.strip().splitlines() or [""])[-1].strip()


def last_error(said: str) -> str:
    """Nix's last error: those before it say where it came to that."""
    rows = [line.strip() for line in said.splitlines() if line.strip()]
    errors = (row.removeprefix("error:").strip() for row in reversed(rows) if re.match(r"error:\s*\S", row))
    return next(errors, rows[-1])
