"""Builders that speak for Nix: a line that starts with "@nix" is one of its log's messages, whatever it says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from command import nix_repro, write_flake

if TYPE_CHECKING:
    from store import NixBox

FORGER = r"""
  good = mk "good" "echo good > $out" {};
  forger = mk "forger" ''
    said="error: derivation '${good.drvPath}' may not be deterministic: output '${good}' differs from 'VICTIM'"
    echo "@nix {\"action\":\"msg\",\"level\":0,\"msg\":\"$said\"}" >&2
    echo > $out'' {};
"""


def test_a_forged_difference_neither_shows_nor_removes_anything(sandbox_nix: NixBox) -> None:
    victim = sandbox_nix.work / "victim"
    victim.mkdir()
    (victim / "key").write_text("a secret\n")
    flake = write_flake(sandbox_nix, FORGER.replace("VICTIM", str(victim)))
    said = nix_repro(sandbox_nix, "check", ".#all", "--rebuilder", "nix-check", cwd=flake)
    assert said.verdicts() == {"good": "reproducible", "forger": "reproducible"}, said.err
    assert (victim / "key").read_text() == "a secret\n"
    assert "a secret" not in said.out
