"""The two ways a run ends early: the user's input is at fault, or the user said stop."""

from __future__ import annotations


class UsageError(Exception):
    """Something the user gave cannot work: exit code 2, one message, nothing lost."""


class Interrupted(Exception):
    """SIGINT or SIGTERM arrived while Nix was at work. `signum` is the signal's number."""

    def __init__(self, signum: int) -> None:
        super().__init__(f"interrupted by signal {signum}")
        self.signum = signum


# Exit codes: what a run found, and what stood in its way. `judge` decides between them.
PASS = 0
DIVERGENCE = 1
USAGE = 2
OVERRUN = 3
BUILD_FAILED = 4
UNVERIFIED = 5


#: A fault of nix-repro itself, which must not look like a verdict (EX_SOFTWARE of sysexits.h).
INTERNAL_ERROR = 70


#: An interrupted run ends with this and the number of the signal, as shells report it.
INTERRUPTED = 128


def interrupted(exit_code: int) -> bool:
    """Whether a run with this exit code was ended by a signal."""
    return exit_code > INTERRUPTED
