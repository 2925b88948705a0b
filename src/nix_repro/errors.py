"""The two ways a run ends early: the user's input is at fault, or the user said stop."""

from __future__ import annotations


class UsageError(Exception):
    """Something the user gave cannot work: exit code 2, one message, nothing lost."""


class Interrupted(Exception):
    """SIGINT or SIGTERM arrived while Nix was at work. `signum` is the signal's number."""

    def __init__(self, signum: int) -> None:
        super().__init__(f"interrupted by signal {signum}")
        self.signum = signum
