"""Who runs it, and what is theirs: their settings of Nix, and accounts that have no name."""

from __future__ import annotations

import contextlib
import os
import pty
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from command import COMMAND, nix_repro, write_flake

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


@pytest.mark.parametrize("settings", ["env_reset", "env_reset,use_pty"])
def test_sudo_that_asks_for_a_password_asks_on_the_terminal_and_once(sandbox_nix: NixBox, settings: str) -> None:
    """A laptop: sudo remembers its permission for a terminal and a session, so the helper has to be started in them."""
    crypted = subprocess.run(
        ["openssl", "passwd", "-6", "secret"], capture_output=True, text=True, check=True
    ).stdout.strip()
    accounts, sudoers = sandbox_nix.directory / "etc/passwd", sandbox_nix.directory / "etc/sudoers"
    accounts.write_text(accounts.read_text().replace("runner:*:", f"runner:{crypted}:"))
    sudoers.write_text(sudoers.read_text().replace("NOPASSWD: ", "").replace("env_reset", settings))
    flake = write_flake(sandbox_nix, PACKAGES)
    argv = sandbox_nix.argv([*COMMAND, "check", ".#same", "--rebuilder", "shadow"], user=True)
    with sandbox_nix.daemon():
        process, terminal = pty.fork()
        if process == 0:
            os.chdir(flake)
            os.execvpe(argv[0], argv, sandbox_nix.environment({"TERM": "dumb"}, user=True))  # noqa: S606  # as fork left it
        said = b""
        # Linux reports the end of the other side as an error.
        with contextlib.suppress(OSError):
            while chunk := os.read(terminal, 4096):
                said += chunk
                if chunk.endswith(b"password for runner: "):
                    os.write(terminal, b"secret\n")
        os.close(terminal)
        code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    assert code == 0, said.decode()
    assert said.count(b"password for runner: ") == 1
