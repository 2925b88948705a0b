"""What has to stay in its place when a shadow takes the store's: where Nix was not installed by a distribution, it lies
in the store itself, and on NixOS so does everything that is started."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from nix_repro.nix.command import Nix
from nix_repro.nix.derivation import Derivation
from nix_repro.nix.store_path import DIGEST, NAME, containing

#: What the helper starts in the shadow.
STARTED = ("nix-store", "cp", "rm", "chmod")
#: Where the helper looks by itself, which is preferred.
_SYSTEM = ("/usr/bin", "/bin")
_SANDBOX_PATHS = ("sandbox-paths", "extra-sandbox-paths")


@dataclass(frozen=True)
class Staying:
    """`programs`: where those that the helper starts really are, by name, as far as that is in the store; `paths`: the
    closure of what lies in the store and is needed there, whatever is built."""

    programs: dict[str, str]
    paths: tuple[str, ...]

    def holds(self, drv: Derivation) -> bool:
        """Whether the derivation makes one of the paths: what is in use cannot be built again in its place."""
        return not {output.path for output in drv.outputs.values()}.isdisjoint(self.paths)


def staying(nix: Nix, python: str, options: Sequence[tuple[str, str]]) -> Staying:
    """What has to stay for a helper run by that Python, under these settings. Raises `NixError`."""
    store = nix.store_dir()
    programs = {name: real for name, real in _programs(nix) if containing(real, store)}
    wanted = [python, *programs.values(), *_in_sandbox(nix, options)]
    tops = dict.fromkeys(top for path in wanted if (top := containing(path, store)))
    # What somebody has put into the directory by hand is nothing that Nix could say more of.
    unknown = nix.invalid(tops) if tops else set()
    known = [path for path in tops if path not in unknown]
    return Staying(programs, tuple(nix.requisites(known)) if known else ())


def _programs(nix: Nix) -> Iterable[tuple[str, str]]:
    path = os.pathsep.join((*_SYSTEM, nix.env.get("PATH", "")))
    for name in STARTED:
        found = str(nix.binary.with_name(name)) if name == "nix-store" else shutil.which(name, path=path)
        if found is not None:
            # The program behind all links, in a profile and beside it; the helper starts it by its own name.
            yield name, os.path.realpath(found)


def _in_sandbox(nix: Nix, options: Sequence[tuple[str, str]]) -> list[str]:
    """The store paths that every build sees, such as the shell at /bin/sh. The setting's shape changes with the version
    of Nix, but what a store path looks like does not."""
    settings = nix.settings()
    said = json.dumps(
        [*(settings.get(name) for name in _SANDBOX_PATHS), *(v for k, v in options if k in _SANDBOX_PATHS)]
    )
    found = re.findall(rf"{re.escape(nix.store_dir())}/{DIGEST}-{NAME}", said)
    return [path for path in found if Path(path).exists()]
