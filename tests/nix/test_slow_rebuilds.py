"""A rebuild that runs into its limit shows nothing: never a pass, and never somebody else's fault."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from command import nix_repro, write_flake

if TYPE_CHECKING:
    from store import NixBox


@pytest.mark.parametrize("rebuilder", ["shadow", "nix-check"])
def test_a_rebuild_that_times_out(sandbox_nix: NixBox, rebuilder: str) -> None:
    """Nix 2.34 says that something timed out, and not what: beside it here are one that is quick and one that fails."""
    sandbox_nix.conf(sandbox=False)
    marks = sandbox_nix.directory / "tmp"
    flake = write_flake(
        sandbox_nix,
        f"""hangs = mk "hangs" "if test -e {marks}/hangs; then sleep 60; fi; : > {marks}/hangs; echo same > $out" {{}};
        fails = mk "fails" "if test -e {marks}/fails; then exit 1; fi; : > {marks}/fails; echo same > $out" {{}};
        quick = mk "quick" "echo same > $out" {{}};
        above = mk "above" "cat ${{hangs}} > $out" {{}};""",
    )
    ours = nix_repro(sandbox_nix, "check", "all", "--timeout", "3", "--jobs", "3", "--rebuilder", rebuilder, cwd=flake)
    expected = {"hangs": "unverified: timed out", "fails": "rebuild-failed", "quick": "reproducible"}
    # The shadow store has only the rebuilt inputs; nix --check takes the registered ones.
    above = "reproducible" if rebuilder == "nix-check" else "unverified: a dependency failed to build: hangs"
    assert ours.verdicts() == expected | {"above": above}


@pytest.mark.parametrize("rebuilder", ["shadow", "nix-check"])
def test_the_only_derivation_times_out(sandbox_nix: NixBox, rebuilder: str) -> None:
    """Then Nix says so after everything else has ended."""
    sandbox_nix.conf(sandbox=False)
    mark = sandbox_nix.directory / "tmp/hangs"
    flake = write_flake(
        sandbox_nix, f'default = mk "hangs" "if test -e {mark}; then sleep 60; fi; : > {mark}; echo same > $out" {{}};'
    )
    ours = nix_repro(sandbox_nix, "check", "--timeout", "2", "--rebuilder", rebuilder, cwd=flake)
    assert ours.verdicts() == {"hangs": "unverified: timed out"}
    assert ours.code == 5
