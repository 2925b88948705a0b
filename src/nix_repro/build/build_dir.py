"""Where Nix builds, and whether that is on a disk or in memory: the two list a directory in another order."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nix_repro.build.variations import Kind
from nix_repro.nix.series import Release

#: File systems in memory, by the names that Linux has for them.
IN_MEMORY = ("tmpfs", "ramfs")
#: The first Nix that builds in its own state directory when nothing else is set,
OWN_PLACE = (2, 30)
#: and where it builds before that.
ELSE = "/tmp"  # noqa: S108 (nothing is written there by us)


def usual(settings: Mapping[str, Any], nix: Release, environ: Mapping[str, str], room: Path) -> Path:
    """Where a rebuild builds when nothing else is asked for. `settings` are Nix's, `room` is where a rebuilder keeps
    its store's state."""
    if chosen := settings.get("build-dir"):
        return Path(str(chosen))
    return room if nix.series >= OWN_PLACE else Path(environ.get("TMPDIR") or ELSE)


def kind(path: Path, mounts: str | None = None) -> Kind:
    """What the path lies on, or would if it does not exist yet. `mounts` is what Linux says is mounted; where it says
    nothing, that is called a disk."""
    there = next(place for place in (path, *path.parents) if place == place.parent or place.exists())
    try:
        told = Path("/proc/self/mountinfo").read_text("utf-8", "surrogateescape") if mounts is None else mounts
        device = os.stat(there).st_dev
    except OSError:
        return "disk"
    number = f"{os.major(device)}:{os.minor(device)}"
    for line in told.splitlines():
        before, _, after = line.partition(" - ")
        if before.split()[2:3] == [number] and after.split()[:1] and after.split()[0] in IN_MEMORY:
            return "memory"
    return "disk"
