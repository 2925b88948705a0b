"""How well derivations are known, from all their builds. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby

from nix_repro.verdict.evidence import Built


@dataclass(frozen=True)
class Acquaintance:
    """What is known of one derivation: how many `builds` of it on how many `machines` and days, of which the last was
    at `last` (seconds since the epoch). `contents` is how many different ones came of the same inputs, at most."""

    drv_path: str
    name: str
    builds: int
    machines: int
    days: int
    last: float
    contents: int
    variations: tuple[str, ...]


def grouped(builds: Iterable[Built], name: str | None) -> Iterator[Acquaintance]:
    """How well each derivation is known, or those with this name or .drv path. `builds` are ordered by derivation."""
    for drv_path, found in groupby(builds, lambda build: build.drv_path):
        of_it = list(found)
        if name is None or name in (drv_path, of_it[0].name):
            yield _acquaintance(drv_path, of_it)


def _acquaintance(drv_path: str, builds: list[Built]) -> Acquaintance:
    contents: dict[str, set[tuple[tuple[str, str], ...]]] = {}
    for build in builds:
        contents.setdefault(build.inputs, set()).add(build.content)
    made = [build for build in builds if build.made]
    return Acquaintance(
        drv_path,
        builds[0].name,
        len(made),
        len({build.machine.machine for build in made}),
        len({int(build.at // 86400) for build in made}),
        max((build.at for build in made), default=builds[-1].at),
        max(map(len, contents.values())),
        tuple(sorted({variation for build in builds for variation in build.variations})),
    )
