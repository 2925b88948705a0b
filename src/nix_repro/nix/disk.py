"""Is there room where Nix builds? That is measured, because what a builder says of a full disk is no evidence."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import parse_qs, unquote

from nix_repro.nix.command import Nix

#: A file system is as good as full when less than this many bytes of it are free,
BYTES = 256 * 1024**2
#: or this many files,
FILES = 1000
#: or, where that is less, this share of the one or the other.
SHARE = 0.02


def building_places(nix: Nix, url: str | None = None) -> tuple[str, ...]:
    """The directories that builds of this Nix write to. `url` is that of another store, which may be in a directory of
    its own (`local?root=DIR`)."""
    store = nix.store_dir()
    state = nix.env.get("NIX_STATE_DIR", str(Path(store).parent / "var/nix"))
    builds = nix.settings().get("build-dir") or ""
    roots = parse_qs((url or "").partition("?")[2]).get("root", [])
    other = [unquote(url or "")] if (url or "").startswith("/") else []
    temporary = nix.env.get("TMPDIR") or tempfile.gettempdir()
    return (store, state, builds, f"{state}/builds", f"{state}-repro", temporary, "/tmp", *roots, *other)  # noqa: S108


def any_full(places: Iterable[str]) -> bool:
    """Whether a file system that one of these is on is as good as full now."""
    return any(_full(place) for place in places if place)


def _full(place: str) -> bool:
    try:
        found = os.statvfs(place)
    except OSError:
        return False
    room, files = found.f_bavail * found.f_frsize, found.f_favail
    few = found.f_files > 0 and files < min(FILES, SHARE * found.f_files)
    return few or room < min(BYTES, SHARE * found.f_blocks * found.f_frsize)
