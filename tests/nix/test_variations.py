"""One rebuild with everything varied shows what a plain one does not, and honest builds are the same in it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from command import nix_repro, write_flake

if TYPE_CHECKING:
    from store import NixBox

PACKAGES = """
  cores = mk "cores" "echo $NIX_BUILD_CORES > $out" {};
  processors = mk "processors" "nproc > $out" {};
  order = mk "order" "mkdir d; for i in 1 2 3 4 5 6 7 8 9 a b c; do echo > d/$i; done; ls -U d > $out" {};
  path = mk "path" "pwd > $out" {};
  kernel = mk "kernel" "uname -r > $out" {};
  zone = mk "zone" "date -d @0 > $out" {};
  day = mk "day" "date +%Y > $out" {};
  priority = mk "priority" "nice > $out" {};
  above = mk "above" "cat ${day} > $out" {};
  both = mk "both" "cat ${day} > $out; uname -r >> $out" {};
  until = mk "until" "test $(date +%s) -lt UNTIL || { echo it has expired; exit 1; }; echo ok > $out" {};
  on-until = mk "on-until" "cat ${until} > $out" {};
  file-time = mk "file-time" "gzip -1 -c < ${./flake.nix} > $out; gzip -c ${./flake.nix} >> $out" {};
  same = mk "same" "echo same > $out; tar --sort=name --mtime=@1 --owner=0 --group=0 -cf - $out | cksum >> $out" {};
"""
REVEALED = {"cores", "processors", "order", "path", "kernel", "zone", "day", "priority", "both"}


@pytest.mark.series("2.8", "2.34")
def test_one_rebuild_reveals_what_a_plain_one_does_not(sandbox_nix: NixBox) -> None:
    flake = write_flake(sandbox_nix, PACKAGES.replace("UNTIL", str(int(time.time()) + 8_640_000)))
    plain = nix_repro(sandbox_nix, "check", ".#all", "--vary", "none", cwd=flake)
    assert set(plain.verdicts().values()) == {"reproducible"}, plain.err
    said = nix_repro(sandbox_nix, "check", ".#all", "--vary", "all", "--explain", "off", cwd=flake)
    assert said.verdicts() == dict.fromkeys(plain.verdicts(), "reproducible") | dict.fromkeys(REVEALED, "divergent") | {
        "above": "reproducible propagated"
    }, said.err
    assert {d["rebuilds"] for d in said.derivations} == {1}
    assert {v["name"]: v["reason"] for v in said.report["variations"] if not v["applied"]} == {}
    [warning] = said.report["warnings"]
    assert warning.startswith("until does not build with "), "what is above it did not fail by itself"
    assert warning.endswith(" (the builder failed with exit code 1); it does without")


@pytest.mark.series("2.26")
def test_the_variation_that_it_takes_is_named(sandbox_nix: NixBox) -> None:
    flake = write_flake(sandbox_nix, PACKAGES.replace("UNTIL", str(int(time.time()) + 8_640_000)))
    vary = ("--vary", "clock-shifted kernel")
    said = nix_repro(sandbox_nix, "check", ".#kernel", ".#until", *vary, cwd=flake)
    assert said.verdicts() == {"kernel": "divergent", "until": "reproducible time-bomb"}, said.err
    because = {d["name"]: [f["because"] for f in d["findings"]] for d in said.derivations}
    assert "it differs with another kernel release, and is the same again without" in because["kernel"][0]
    assert "it stops building with the clock 400 days ahead (3 of 3 rebuilds)" in because["until"][0]
    assert because["until"][0].endswith("it has expired")
    assert said.code == 1
