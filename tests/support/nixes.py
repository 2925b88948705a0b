"""Several Nix versions side by side, from the three generations that Debian's suites carry, without touching the
system's own.

A version that cannot be had is an error, never a skipped test: restrict the tests to others with --nix.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from debian import ProvisionError, command, provided, relink

if TYPE_CHECKING:
    from pathlib import Path

# What nix dispatches on when it is called by another name.
PROGRAMS = (
    "nix-build",
    "nix-channel",
    "nix-collect-garbage",
    "nix-copy-closure",
    "nix-daemon",
    "nix-env",
    "nix-hash",
    "nix-instantiate",
    "nix-prefetch-url",
    "nix-shell",
    "nix-store",
)


@dataclass(frozen=True)
class Series:
    """A generation of Nix that the tests cover: its name in test ids, the suite it comes from, the versions that are
    accepted for it."""

    label: str
    suite: str
    at_least: tuple[int, int]
    below: tuple[int, int]


SERIES = {
    series.label: series
    for series in (
        Series("2.8", "bookworm", (2, 8), (2, 9)),
        Series("2.26", "trixie", (2, 26), (2, 27)),
        # Debian's next release moves on until it is frozen.
        Series("2.34", "forky", (2, 30), (3, 0)),
    )
}


@dataclass(frozen=True)
class Nix:
    """An installed Nix: `bin` holds its programs and nothing else, `root` everything it needs."""

    label: str
    version: tuple[int, ...]
    root: Path

    @property
    def bin(self) -> Path:
        return self.root / "usr/bin"


def provide(label: str) -> Nix:
    """The Nix of that series, installed first when this is the first time. Safe in several processes at once.

    Raises ProvisionError when it cannot be had.
    """
    series = SERIES[label]
    home = provided("nix", series.suite, ["nix-bin", "ca-certificates"], _only_nix)
    version = _version(home)
    if not series.at_least <= version[:2] < series.below:
        raise ProvisionError(
            f"{series.suite} has Nix {'.'.join(map(str, version))}, which is not of the {label} series; remove {home} "
            "to try again"
        )
    return Nix(label=label, version=version, root=home)


def _only_nix(unpacked: Path, home: Path) -> None:
    """Leave the one program under all its names, bound to the libraries beside it: Nix starts itself again."""
    programs = unpacked / "usr/bin"
    binary = programs / "nix"
    relink(unpacked, home, [binary])
    for other in programs.iterdir():
        if other != binary:
            other.unlink()
    for name in PROGRAMS:
        (programs / name).symlink_to("nix")


def _version(home: Path) -> tuple[int, ...]:
    said = command([home / "usr/bin/nix", "--version"])
    match = re.search(r"(\d+(?:\.\d+)+)", said)
    if match is None:
        raise ProvisionError(f"{home}/usr/bin/nix does not say its version: {said!r}")
    return tuple(map(int, match[1].split(".")))
