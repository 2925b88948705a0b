"""A round that could not take place."""

from __future__ import annotations

from typing import TYPE_CHECKING

from command import nix_repro, write_flake

if TYPE_CHECKING:
    from store import NixBox

#: Nix, but for the second time that it is asked for what a shadow store needs.
FAILING = """#!/bin/sh
case " $* " in
  *" --dump-db "*) if test -e MARK; then echo 'error: the database is lost' >&2; exit 1; fi; : > MARK;;
esac
exec NIX/nix-store "$@"
"""


def test_a_round_that_did_not_take_place_is_no_evidence(sandbox_nix: NixBox) -> None:
    programs = sandbox_nix.work / "bin"
    programs.mkdir()
    for name in ("nix", "nix-instantiate"):
        (programs / name).symlink_to(sandbox_nix.installed.bin / name)
    (programs / "nix-store").write_text(
        FAILING.replace("MARK", str(sandbox_nix.work / "mark")).replace("NIX", str(sandbox_nix.installed.bin))
    )
    (programs / "nix-store").chmod(0o755)
    path = f"{programs}:{sandbox_nix.environment()['PATH']}"
    flake = write_flake(sandbox_nix, 'same = mk "same" "echo same > $out" {};')
    said = nix_repro(sandbox_nix, "check", ".#same", "--rounds", "3", cwd=flake, env={"PATH": path})
    assert said.verdicts() == {"same": "unverified: the database is lost"}, said.err
    assert said.code == 5
    assert [b["status"] for b in said.derivation("same")["builds"]] == ["built", "built", "not-built"]
