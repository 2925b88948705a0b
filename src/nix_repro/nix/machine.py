"""What machine, which commit, which settings: the facts a reader needs to place a report."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping

from nix_repro.nix.command import Nix

_SETTINGS = ("sandbox", "sandbox-build-dir", "cores", "max-jobs", "post-build-hook")


def in_ci(environ: Mapping[str, str]) -> bool:
    """Whether this is a job of a CI system. They all set `CI`; somebody who sets it to false or 0 says otherwise."""
    return environ.get("CI", "").lower() not in ("", "0", "false")


def describe_environment(nix: Nix, environ: Mapping[str, str]) -> dict[str, str | int | bool | None]:
    """Facts by name, nothing that identifies a person."""
    settings = nix.settings()
    return {
        "os": platform.system(),
        "kernel": platform.release(),
        "machine": platform.machine(),
        "cpus": os.cpu_count(),
        "ci": in_ci(environ),
        **{
            f"nix {name}": settings.get(name) if isinstance(settings.get(name), str | int | bool) else None
            for name in _SETTINGS
        },
    }
