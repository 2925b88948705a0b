"""What is held different on purpose between build and rebuild."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Change:
    """Something held different on purpose in a rebuild: settings and arguments for Nix, a wrapper that the helper knows
    by name, a build directory in memory."""

    options: tuple[tuple[str, str], ...] = ()
    args: tuple[str, ...] = ()
    under: str = ""
    memory_build_dir: bool = False


#: Seconds between the starts of a build and of its rebuild, so that stamps of a second's resolution differ.
TIME_GAP = 2.0


#: Nothing held different but the time.
UNCHANGED = Change()
