"""Where Nix is."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from nix_repro.errors import UsageError

#: Where installers put Nix when a shell has not picked it up yet.
_PROFILES = ("/nix/var/nix/profiles/default/bin", "~/.nix-profile/bin", "/run/current-system/sw/bin")


def find_nix(environ: Mapping[str, str]) -> Path:
    """The `nix` command. Raises `UsageError` when there is none."""
    path = os.pathsep.join([environ.get("PATH", ""), *(os.path.expanduser(p) for p in _PROFILES)])
    found = shutil.which("nix", path=path)
    if found is None:
        files = (os.path.join(directory, "nix") for directory in path.split(os.pathsep) if directory)
        if (closed := next((file for file in files if os.path.isfile(file)), None)) is not None:
            raise UsageError(f"Nix cannot be run: {closed} is not executable for this user")
        raise UsageError(
            "Nix was not found on PATH. Install it (https://nixos.org/download), or on Debian and Ubuntu: apt-get "
            "install nix-bin"
        )
    # Not resolved: `nix` is often a link whose directory also holds nix-store.
    return Path(found).absolute()
