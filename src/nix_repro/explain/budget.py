"""Limits that keep a hostile or merely huge output from eating the machine, and the list of what they cut."""

from __future__ import annotations

import time
from dataclasses import dataclass, field


@dataclass
class Budget:
    """What one comparison may spend: seconds, differences reported, bytes unpacked from containers, nesting of them.

    `cut` collects, once each, what was left out and why: the caller must show it.
    """

    seconds: float = 60.0
    differences: int = 500
    unpacked: int = 1 << 30
    member: int = 256 << 20
    entries: int = 200_000
    nesting: int = 8
    cut: list[str] = field(default_factory=list)
    started: float = field(default_factory=time.monotonic)

    def say(self, what: str) -> None:
        if what not in self.cut and len(self.cut) < 20:
            self.cut.append(what)

    def expired(self) -> bool:
        if time.monotonic() - self.started < self.seconds:
            return False
        self.say(f"the comparison was stopped after {self.seconds:.0f} s")
        return True

    def one_difference(self) -> bool:
        """Takes one from the differences that may still be reported; false when none is left."""
        if self.differences <= 0:
            self.say("there are more differences than are listed")
            return False
        self.differences -= 1
        return True

    def full(self, members: int) -> bool:
        """Is an archive of which so many members are read already to be read no further?"""
        if members < self.entries and not self.expired():
            return False
        self.say("an archive has more members than are compared")
        return True

    def unpack(self, size: int) -> bool:
        if size > self.unpacked:
            self.say("archives hold more than is unpacked for a comparison")
            return False
        self.unpacked -= size
        return True
