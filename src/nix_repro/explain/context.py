"""What is known of the two builds whose outputs are compared. Everything may be unknown; rules then claim less."""

from __future__ import annotations

from pathlib import Path

import msgspec


class Side(msgspec.Struct, frozen=True, kw_only=True):
    """One of the two builds.

    `window` is its start and end in epoch seconds, by the clock that the build saw. Of a build that nobody here saw it
    is not known; `before` is when it had ended at the latest, also in epoch seconds. `cores` is NIX_BUILD_CORES, `cpus`
    what nproc says there. `kernel` is `uname -r`, `zone` the name of the time zone or its abbreviation, `cpu` the
    processor's model name.
    """

    window: tuple[float, float] | None = None
    before: float | None = None
    cores: int | None = None
    cpus: int | None = None
    build_dir: str | None = None
    kernel: str | None = None
    host: str | None = None
    cpu: str | None = None
    zone: str | None = None
    environment: dict[str, str] = {}


class Input(msgspec.Struct, frozen=True, kw_only=True):
    """A direct input that itself diverges: its store path, and where the trees of both builds can be read."""

    store_path: str
    a: Path | None = None
    b: Path | None = None


class Context(msgspec.Struct, frozen=True, kw_only=True):
    """Both builds of one output. `store_path` is the output's own; `builds` are how many there were of it in
    this run, 0 if they agree with each other."""

    a: Side = Side()
    b: Side = Side()
    store_path: str | None = None
    inputs: tuple[Input, ...] = ()
    builds: int = 2
