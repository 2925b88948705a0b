"""Outputs of more directories within each other than Python recurses. Its limit is lowered for that: Nix takes each
path from its beginning, so that 1,200 levels are minutes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from command import nix_repro, write_flake

if TYPE_CHECKING:
    from store import NixBox

#: Directories within each other.
DEPTH = 400
#: How deep Python may recurse.
LIMIT = 300
DEEP = """
  deep = mk "deep" "mkdir $out; cd $out; mkdir -p WAY; cat ${uuid} > WAY/id" {};
  still = mk "still" "mkdir $out; cd $out; mkdir -p WAY" {};
""".replace("WAY", "/".join("d" * DEPTH))


#: How deep one can go is ours to bear and the system's, and no matter of what lies between.
pytestmark = pytest.mark.series("2.8", "2.34")


@pytest.mark.parametrize("rebuilder", ["shadow", "replace", "nix-check"])
def test_they_are_compared_explained_kept_and_removed(sandbox_nix: NixBox, rebuilder: str) -> None:
    flake = write_flake(sandbox_nix, DEEP)
    kept = sandbox_nix.work / "kept"
    given = ("--rebuilder", rebuilder, "--keep", str(kept))
    said = nix_repro(
        sandbox_nix, "check", ".#deep", ".#still", *given, cwd=flake, env={"TMPDIR": str(sandbox_nix.work)}
    )
    if sandbox_nix.version >= (2, 34):
        # It takes no output of more than 64 directories within each other.
        assert said.verdicts() == {"deep": "build-failed", "still": "build-failed"}, said.err
        return
    assert said.verdicts() == {"deep": "divergent", "still": "reproducible"}, said.err
    assert said.code == 1
    [finding] = said.derivation("deep")["findings"]
    assert (finding["cause"], finding["path"].count("d/")) == ("randomness", DEPTH)
    assert (kept / "deep/out/a").is_dir()
    assert list(sandbox_nix.work.glob("nix-repro-*")) == [], "nothing is left of the run"


def test_no_room_of_the_shadow_rebuilder_is_left(sandbox_nix: NixBox) -> None:
    flake = write_flake(sandbox_nix, DEEP)
    for _ in range(2):
        said = nix_repro(sandbox_nix, "check", ".#deep", "--rebuilder", "shadow", cwd=flake, recursion=LIMIT)
        assert said.code == (4 if sandbox_nix.version >= (2, 34) else 1), said.err
    left = sandbox_nix.run(["sh", "-c", "ls -d /nix/var/nix-repro/run-* 2>/dev/null; true"])
    assert left.stdout.strip() == ""
