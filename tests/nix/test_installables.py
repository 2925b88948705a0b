"""What can be named, and what Nix says of it, on real Nix."""

from __future__ import annotations

from typing import TYPE_CHECKING

from command import SYSTEM, nix_repro, write_flake

if TYPE_CHECKING:
    from store import NixBox

PACKAGES = """
  default = mk "default" "echo default > $out" {};
  two = mk "two" "echo two > $out; echo two > $dev" { outputs = [ "out" "dev" ]; };
  nested = { inherit two; };
  app = { type = "app"; program = "${two}"; };
  function = x: x;
"""


def test_links_and_store_paths_are_what_nix_takes_them_for(sandbox_nix: NixBox) -> None:
    """Nix 2.8 and a ./result that is no store path to us: the flake around it would be checked instead."""
    flake = write_flake(sandbox_nix, PACKAGES)
    sandbox_nix.run(["nix", "build", f"{flake}#two", "--out-link", str(flake / "result")])
    drv = sandbox_nix.run(["nix-store", "--query", "--deriver", str(flake / "result")]).stdout.strip()
    said = nix_repro(sandbox_nix, "check", "./result", f"{drv}!dev", cwd=flake)
    assert [d["name"] for d in said.derivations] == ["two"], said.err
    assert said.outputs("two") == {"out": "reproducible", "dev": "reproducible"}


def test_what_is_no_derivation_is_named(sandbox_nix: NixBox) -> None:
    flake = write_flake(sandbox_nix, PACKAGES)
    plan = nix_repro(sandbox_nix, "check", "all", "--rebuilder", "nix-check", cwd=flake)
    assert sorted(plan.verdicts()) == ["default", "two"], plan.err
    place = f"packages.{SYSTEM}"
    assert [warning for warning in plan.report["warnings"] if "`all`" in warning] == [
        f"{place}.app is a set (program, type), not a derivation, and left out of `all`",
        f"{place}.function is a function, not a derivation, and left out of `all`",
        f"{place}.nested is a set (two), not a derivation, and left out of `all`",
    ]
    said = nix_repro(sandbox_nix, "check", ".#nested", cwd=flake)
    assert (said.code, said.err.splitlines()[-1]) == (
        2,
        f"nix-repro: .#nested: {place}.nested is a set (two), not a derivation",
    )
