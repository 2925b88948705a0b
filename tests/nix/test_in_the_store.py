"""A Nix that lies in its own store behind a profile, as every installer but a distribution's leaves it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from command import nix_repro, write_flake
from store import SYSTEM_PATH

if TYPE_CHECKING:
    from store import NixBox


def install_in_the_store(box: NixBox) -> str:
    """Copy the box's Nix into the box's store, with a profile that names it; the PATH that finds that one."""
    copy = box.work / "nix"
    box.run(["mkdir", "-p", str(copy)])
    box.run(["cp", "-R", str(box.installed.bin), str(copy / "bin")])
    path = box.run(["nix-store", "--add", str(copy)]).stdout.strip()
    box.run(["mkdir", "-p", "/nix/var/nix/profiles"])
    box.run(["ln", "-s", path, "/nix/var/nix/profiles/default"])
    return f"/nix/var/nix/profiles/default/bin:{SYSTEM_PATH}"


@pytest.mark.series("2.8", "2.34")
def test_shadow_rebuilds_with_it(sandbox_nix: NixBox) -> None:
    path = install_in_the_store(sandbox_nix)
    shell = sandbox_nix.run(["nix-store", "--add", "/usr/bin/dash"]).stdout.strip()
    sandbox_nix.conf(sandbox_paths=f"/bin/sh={shell} /usr /lib /lib64?")
    flake = write_flake(sandbox_nix, 'a = mk "a" "cat ${uuid} > $out" {}; b = mk "b" "echo ${a} > $out" {};')
    command = ("check", ".#b", "--rebuilder", "shadow", "--explain", "experiments", "--keep", "kept")
    said = nix_repro(sandbox_nix, *command, cwd=flake, env={"PATH": path})
    assert said.verdicts() == {"a": "divergent", "b": "reproducible"}, said.err
    assert (flake / "kept/a/out/a").read_text() != (flake / "kept/a/out/b").read_text()
    assert not said.report["warnings"]
