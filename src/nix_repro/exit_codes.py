"""The exit codes of `nix-repro`, which scripts and the action rely on. The README lists them for users."""

from __future__ import annotations

#: What a run found, and what stood in its way. `judge` decides between them.
PASS, DIVERGENCE, USAGE, OVERRUN, BUILD_FAILED, UNVERIFIED = 0, 1, 2, 3, 4, 5
#: A fault of nix-repro itself, which must not look like a verdict (EX_SOFTWARE of sysexits.h).
INTERNAL_ERROR = 70
#: An interrupted run ends with this and the number of the signal, as shells report it.
INTERRUPTED = 128


def interrupted(exit_code: int) -> bool:
    """Whether a run with this exit code was ended by a signal."""
    return exit_code > INTERRUPTED
