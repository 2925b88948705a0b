"""Paths in settings, made absolute where they enter: what is started later starts in other directories, and what was
judged must be what is used."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from nix_repro.settings import Setting

_FILES = ("base_report", "history", "ledger", "verified_cache")
#: A store of one's own, and where it is.
_LOCAL = re.compile(r"(local\?(?:[^&]*&)*?root=)([^&]+)(.*)", re.DOTALL)


def anchored(layer: Mapping[str, Setting], directory: Path) -> dict[str, Setting]:
    """The settings with every relative path in them taken to be relative to the directory."""
    return {key: Setting(_absolute(key, setting.value, directory), setting.where) for key, setting in layer.items()}


def _absolute(key: str, value: object, directory: Path) -> object:
    if key in _FILES and isinstance(value, str | Path) and str(value):
        return Path(os.path.abspath(directory / value))
    if not isinstance(value, str):
        return value
    if key == "diffoscope" and "/" in value:
        return os.path.abspath(directory / value)
    if key == "rebuilder" and (local := _LOCAL.fullmatch(value)) is not None:
        return f"{local[1]}{os.path.abspath(directory / local[2])}{local[3]}"
    return value
