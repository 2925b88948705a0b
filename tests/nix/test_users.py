"""Who runs it, and what is theirs: their settings of Nix, and accounts that have no name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from command import nix_repro, write_flake

if TYPE_CHECKING:
    from store import NixBox

PACKAGES = """
  setting = mk "setting" "cat /given > $out" {};
  same = mk "same" "echo same > $out" {};
"""


@pytest.mark.parametrize("user", [False, True])
def test_rebuilds_go_by_the_users_own_settings(sandbox_nix: NixBox, user: bool) -> None:
    """A program that sudo starts has another home, and so another nix.conf."""
    given = sandbox_nix.work / "given"
    given.write_text("given\n")
    home = sandbox_nix.user_home if user else sandbox_nix.home
    (home / ".config/nix").mkdir(parents=True)
    (home / ".config/nix/nix.conf").write_text(f"extra-sandbox-paths = /given={given}\n")
    sandbox_nix.conf(trusted_users="*")
    flake = write_flake(sandbox_nix, PACKAGES)
    with sandbox_nix.daemon():
        said = nix_repro(sandbox_nix, "check", ".#setting", "--rebuilder", "shadow", cwd=flake, user=user)
    assert said.verdicts() == {"setting": "reproducible"}, said.err


@pytest.mark.parametrize("rebuilder", ["replace", "nix-check"])
def test_a_user_without_a_name(sandbox_nix: NixBox, rebuilder: str) -> None:
    """Containers are often run under a number of their own."""
    for file in ("passwd", "group"):
        (sandbox_nix.directory / "etc" / file).write_text(Path("/etc", file).read_text())
    flake = write_flake(sandbox_nix, PACKAGES)
    with sandbox_nix.daemon():
        said = nix_repro(sandbox_nix, "check", ".#same", "--rebuilder", rebuilder, cwd=flake, user=True)
    assert said.verdicts() == {"same": "reproducible"}, said.err
    sandbox_nix.conf(post_build_hook="/bin/true")
    with sandbox_nix.daemon():
        said = nix_repro(sandbox_nix, "check", ".#same", "--rebuilder", rebuilder, cwd=flake, user=True)
    assert said.code == 2
    assert "post-build-hook" in said.err
