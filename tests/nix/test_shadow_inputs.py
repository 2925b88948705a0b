"""A rebuild in a shadow store sees every kind of input: directories, files and links, sources and outputs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from command import nix_repro, write_flake

if TYPE_CHECKING:
    from store import NixBox

PACKAGES = """
  tree = mk "tree" "mkdir -p $out/a && echo deep > $out/a/b" {};
  file = mk "file" "echo file > $out" {};
  link = mk "link" "ln -s ${tree}/a $out" {};
  default = mk "reader" "cat ${tree}/a/b ${file} ${link}/b ${./dir}/in-tree ${./flake.nix} > $out" {};
"""


def test_every_kind_of_input_is_there(sandbox_nix: NixBox) -> None:
    flake = write_flake(sandbox_nix, PACKAGES)
    (flake / "dir").mkdir()
    (flake / "dir/in-tree").write_text("source\n")
    said = nix_repro(sandbox_nix, "check", "--scope", "closure", "--rebuilder", "shadow", cwd=flake)
    assert said.verdicts() == dict.fromkeys(("reader", "tree", "file", "link"), "reproducible"), said.err
