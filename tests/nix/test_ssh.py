"""Rebuilding on another machine: a real sshd in front of another store."""

from __future__ import annotations

import socket
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from command import nix_repro, write_flake
from store import open_box

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nixes import Nix
    from store import NixBox

PACKAGES = """
  same = mk "same" "echo same > $out" {};
  chance = mk "chance" "cat ${uuid} > $out; echo ${same} >> $out" {};
  above = mk "above" "cat ${chance} > $out" {};
  pair = mk "pair" "echo > $out; cat ${uuid} > $doc" { outputs = [ "out" "doc" ]; };
"""


def test_another_machine(sandbox_nix: NixBox, installed_nix: Nix) -> None:
    flake = write_flake(sandbox_nix, PACKAGES)
    with open_box(installed_nix) as other, sshd(other) as (port, key):
        options = f"-p {port} -i {key} -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR"
        url = f"ssh-ng://root@127.0.0.1?remote-program={other.installed.bin}/nix-daemon"
        keep = sandbox_nix.work / "kept"
        said = nix_repro(
            sandbox_nix,
            "check",
            ".#above",
            ".#pair",
            "--rebuilder",
            url,
            "--keep",
            str(keep),
            cwd=flake,
            env={"NIX_SSHOPTS": options},
        )
        assert said.verdicts() == {
            "same": "reproducible",
            "chance": "divergent",
            "above": "reproducible propagated",
            "pair": "divergent",
        }, said.err
        assert said.outputs("pair") == {"out": "reproducible", "doc": "divergent"}
        assert said.derivation("pair")["outputs"]["doc"]["hashes"][1]["origin"].startswith(f"round 2, {url}")
        there = {path.name.partition("-")[2] for path in other.store_dir.iterdir()}
        assert {"chance", "above"} <= there
        for side in "ab":
            assert (keep / "pair/doc" / side).read_text().count("-") == 4


@pytest.mark.series("2.8", "2.34")
def test_one_that_cannot_be_used_is_found_before_the_build(sandbox_nix: NixBox, installed_nix: Nix) -> None:
    flake = write_flake(sandbox_nix, PACKAGES)
    other_key = sandbox_nix.work / "other"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", other_key], check=True)
    known = "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o IdentitiesOnly=yes"
    with socket.socket() as silent, open_box(installed_nix) as other, sshd(other) as (port, _):
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        here = "ssh-ng://root@127.0.0.1"
        cases = {
            (here, "-p 9"): "ssh: connect to host 127.0.0.1 port 9: Connection refused",
            (here, f"-p {port} -i {other_key} {known}"): "root@127.0.0.1: Permission denied (publickey",
            (here, f"-p {silent.getsockname()[1]} -o ConnectTimeout=2"): "timed out during banner exchange",
            ("ssh-ng://no-such-host.invalid", ""): "ssh: Could not resolve hostname no-such-host.invalid",
            ("sssh://127.0.0.1", ""): "don't know how to open Nix store",
            ("https://cache.nixos.org", ""): "a binary cache cannot build",
        }
        for (url, options), words in cases.items():
            said = nix_repro(
                sandbox_nix, "check", ".#same", "--rebuilder", url, cwd=flake, env={"NIX_SSHOPTS": options}
            )
            assert said.code == 2, (url, said.err)
            assert words in said.err, (url, said.err)
            assert said.err.splitlines()[-1].startswith(f"nix-repro: rebuilder {url}"), said.err
    assert not [path for path in sandbox_nix.store_dir.iterdir() if path.name.endswith("-same")], "nothing was built"


@contextmanager
def sshd(box: NixBox) -> Iterator[tuple[int, Path]]:
    """sshd as root inside the box, on a loopback port; yields the port and the key that opens it."""
    directory = box.directory / "ssh"
    directory.mkdir(mode=0o700)
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", directory / name], check=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (directory / "config").write_text(
        f"ListenAddress 127.0.0.1:{port}\nHostKey {directory}/host\nAuthorizedKeysFile "
        f"{directory}/user.pub\nStrictModes no\nUsePAM no\n"
        f"PidFile none\nPermitRootLogin yes\nSetEnv NIX_CONF_DIR={box.directory}/conf\n"
    )
    Path("/run/sshd").mkdir(exist_ok=True)
    server = box.popen(["/usr/sbin/sshd", "-D", "-e", "-f", str(directory / "config")])
    try:
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert server.poll() is None, server.communicate()
            time.sleep(0.05)
        yield port, directory / "user"
    finally:
        server.terminate()
        server.communicate(timeout=20)
