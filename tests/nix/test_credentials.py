"""Builders, tests and configurations that look for the job's credentials, or for a way to run programs."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

import pytest

from command import COMMAND, nix_repro, write_flake

if TYPE_CHECKING:
    from store import NixBox

#: What is tested is ours: the oldest and the newest Nix are enough.
pytestmark = pytest.mark.series("2.8", "2.34")

SECRET = secrets.token_hex(16)
NAMES = (
    "GITHUB_TOKEN",
    "GH_TOKEN",
    "INPUT_GITHUB_TOKEN",
    "INPUT_NIX_OPTIONS",
    "ACTIONS_RUNTIME_TOKEN",
    "ACTIONS_ID_TOKEN_REQUEST_TOKEN",
)
#: Everything that the environments and arguments of this user's processes show. The word itself is not in the script.
LOOK = f"""
  cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' '\\n' > all || true
  grep -q NIX_CONFIG all || echo blind
  grep '[{SECRET[0]}]{SECRET[1:]}' all || echo nothing
"""


def test_neither_a_builder_nor_a_test_finds_them(sandbox_nix: NixBox) -> None:
    """Without a sandbox, and as the user who runs the check."""
    sandbox_nix.conf(sandbox=False, build_users_group="")
    flake = write_flake(sandbox_nix, f'  default = mk "looks" "cd $TMPDIR; {{ {LOOK} }} > $out" {{}};')
    (flake / "look").write_text(LOOK)
    (flake / ".nix-repro.yml").write_text('test: [sh, -c, "sh look > found"]\n')
    said = nix_repro(sandbox_nix, "check", cwd=flake, env=dict.fromkeys(NAMES, SECRET))
    assert said.verdicts() == {"looks": "reproducible"}, said.err
    (output,) = said.derivation("looks")["outputs"].values()
    assert sandbox_nix.outside(output["path"]).read_text() == "nothing\n"
    assert (flake / "found").read_text() == "nothing\n"


@pytest.mark.parametrize("command", ["plan", "check"])
@pytest.mark.parametrize("setting", ["plugin-files", "post-build-hook", "pre-build-hook", "diff-hook", "build-hook"])
def test_no_program_of_a_clone_is_started(sandbox_nix: NixBox, command: str, setting: str) -> None:
    flake = write_flake(sandbox_nix, '  default = mk "plain" "echo > $out" {};')
    evil, proof = flake / "evil", sandbox_nix.work / "proof"
    evil.write_text(f"#!/bin/sh\ntouch {proof}\n")
    evil.chmod(0o755)
    (flake / ".nix-repro.yml").write_text(f"options: {{{setting}: {evil}, run-diff-hook: true}}\n")
    done = sandbox_nix.run([*COMMAND, command], cwd=flake, check=False)
    assert done.returncode == 2
    assert f".nix-repro.yml:1: options: {setting}: not among the settings" in done.stderr
    assert not proof.exists()
