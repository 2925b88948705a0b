"""Versions of Nix, as far as its ways differ between them."""

from __future__ import annotations

import re


def series(version: str) -> tuple[int, int]:
    """The first two numbers of a version, by which Nix's ways differ; zeros when it does not begin with two."""
    found = re.match(r"(\d+)\.(\d+)", version)
    return (int(found[1]), int(found[2])) if found else (0, 0)
