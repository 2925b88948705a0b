"""What machine, which commit, which settings: the facts a reader needs to place a report."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Mapping
from pathlib import Path

from nix_repro.nix import Nix
from nix_repro.rebuild.choose import in_ci

_SETTINGS = ("sandbox", "cores", "max-jobs", "post-build-hook")


def describe_environment(nix: Nix, environ: Mapping[str, str]) -> dict[str, str | int | bool | None]:
    """Facts by name, nothing that identifies a person."""
    settings = nix.settings()
    return {
        "os": platform.system(),
        "kernel": platform.release(),
        "machine": platform.machine(),
        "cpus": os.cpu_count(),
        "ci": in_ci(environ),
        **{f"nix {name}": settings.get(name) if isinstance(settings.get(name), str | int | bool) else None for name in _SETTINGS},
    }


def git_commit(cwd: Path) -> str | None:
    """The commit that is checked out, or None outside a repository."""
    try:
        asked = subprocess.run(["git", "rev-parse", "HEAD"], cwd=cwd, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return asked.stdout.strip() if asked.returncode == 0 else None
