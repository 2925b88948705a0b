"""`nix-repro` as a user starts it, inside a box, and what it said."""

from __future__ import annotations

import json
import platform
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from store import NixBox

SYSTEM = f"{platform.machine()}-linux"
SOURCE = Path(__file__).resolve().parents[2] / "src"
#: The command line that runs the clone's code and nothing of the current directory's.
COMMAND = (
    sys.executable,
    "-I",
    "-c",
    f"import sys; sys.path.insert(0, {str(SOURCE)!r}); from nix_repro.cli.app import main; main()",
)

_HEAD = """
{ outputs = { self }: let
  mk = name: script: extra: derivation ({
    inherit name; system = "SYSTEM"; builder = "/bin/sh"; args = [ "-c" script ]; PATH = "/usr/bin:/bin"; box = "BOX";
  } // extra);
  uuid = "/proc/sys/kernel/random/uuid";
in { packages.SYSTEM = rec {
"""


@dataclass(frozen=True)
class Said:
    """What one run came to. `report` is empty when none was written."""

    code: int
    out: str
    err: str
    report: dict[str, Any]

    def verdicts(self) -> dict[str, str]:
        """The verdict by derivation name, with its marks behind it, and its reason when it is unverified."""
        return {
            d["name"]: " ".join([d["verdict"], *d["marks"]])
            + (f": {d['reason']}" if d["verdict"] == "unverified" else "")
            for d in self.derivations
        }

    def outputs(self, name: str) -> dict[str, str]:
        """The verdict by output of one derivation, with the reason when it is unverified."""
        found = next(d for d in self.derivations if d["name"] == name)["outputs"]
        return {
            o: found[o]["verdict"] + (f": {found[o]['reason']}" if found[o]["verdict"] == "unverified" else "")
            for o in found
        }

    @property
    def derivations(self) -> list[dict[str, Any]]:
        return list(self.report["derivations"])

    def derivation(self, name: str) -> dict[str, Any]:
        return next(d for d in self.derivations if d["name"] == name)


def write_flake(box: NixBox, packages: str, where: str = "flake") -> Path:
    """A flake without inputs whose packages are written with `mk NAME SCRIPT EXTRA` and `${uuid}`, a file of chance.

    Its store paths are the box's own. Nix deletes no path that any process on the machine mentions, and with paths
    shared between boxes another test's build would be such a process.
    """
    directory = box.work / where
    directory.mkdir(exist_ok=True)
    (directory / "flake.nix").write_text(
        _HEAD.replace("SYSTEM", SYSTEM).replace("BOX", box.directory.name) + packages + "\n}; }; }\n"
    )
    return directory


def take_home(box: NixBox, flake: Path) -> Path:
    """A copy of the flake that belongs to the ordinary user."""
    box.run(["cp", "-r", str(flake), str(box.user_home / "flake")])
    box.run(["chown", "-R", f"{box.user_home.stat().st_uid}", str(box.user_home / "flake")])
    return box.user_home / "flake"


def _limit(recursion: int | None) -> str:
    return f"import sys; sys.setrecursionlimit({recursion}); " if recursion is not None else ""


def nix_repro(
    box: NixBox,
    *args: str,
    cwd: Path,
    user: bool = False,
    capabilities: bool = True,
    env: Mapping[str, str] | None = None,
    timeout: float = 120,
    recursion: int | None = None,
) -> Said:
    """Run `nix-repro ARGS --report-json …` and read the report. `recursion` is Python's limit to it, if not its own."""
    place = box.user_home if user else box.work
    file = place / "report.json"
    file.unlink(missing_ok=True)
    done = box.run(
        [*COMMAND[:-1], _limit(recursion) + COMMAND[-1], *args, "--report-json", str(file)],
        check=False,
        cwd=cwd,
        user=user,
        capabilities=capabilities,
        env=env,
        timeout=timeout,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return Said(done.returncode, done.stdout, done.stderr, json.loads(file.read_text()) if file.exists() else {})
