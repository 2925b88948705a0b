"""Which Nix it is, and how new, as far as the ways of Nix differ. Pure."""

from __future__ import annotations

import re
from typing import NamedTuple

#: What `nix --version` prints, such as `nix (Nix) 2.26.3`, `nix (Lix, like Nix) 2.91.1`, `nix (Determinate Nix 3.6.6)
#: 2.29.0`.
_SAID = re.compile(r"\S+ \((?P<name>[^(),]*)[^()]*\) (?P<version>\S+)")
#: What Lix has in common with Nix: it went its own way after 2.18, and its numbers are its own since.
_LIX = (2, 18)


class Release(NamedTuple):
    """`implementation` is what it calls itself (`Nix`, `Lix`, `Determinate Nix 3.6.6`), `version` the version of Nix
    that it says it is, `series` the first two numbers of the version of Nix that it behaves like, zeros if unknown."""

    implementation: str
    version: str
    series: tuple[int, int]

    def __str__(self) -> str:
        if self.implementation[-1:].isdecimal():
            return f"{self.implementation} (Nix {self.version})"
        return f"{self.implementation} {self.version}"


def release(said: str) -> Release:
    """What `nix --version` said."""
    found = _SAID.fullmatch(said.strip())
    name = found["name"].strip() if found else ""
    version = found["version"] if found else said.strip().rpartition(" ")[2]
    return Release(name or "Nix", version, _LIX if name == "Lix" else _series(version))


def _series(version: str) -> tuple[int, int]:
    found = re.match(r"(\d{1,9})\.(\d{1,9})", version)
    return (int(found[1]), int(found[2])) if found else (0, 0)
