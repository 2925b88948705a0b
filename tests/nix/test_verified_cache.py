"""Runs that keep what is verified, and nothing else, where the next one fetches it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from command import nix_repro, write_flake

if TYPE_CHECKING:
    from command import Said
    from store import NixBox

PACKAGES = """
leaf = mk "leaf" "echo leaf > $out" {};
top = mk "top" "echo ${leaf} ${./note} > $out; echo more > $dev" { outputs = [ "out" "dev" ]; };
random = mk "random" "cat ${uuid} > $out" {};
above = mk "above" "echo ${random} > /dev/null; echo above > $out" {};
victim = mk "victim" "cat ${random} > $out" {};
hidden = mk "hidden" "echo hidden > $out" { allowSubstitutes = ""; };
"""
DIVERGENT = {"random", "above", "victim"}
NAME = "nix-repro-verified"


class Repository:
    """A flake whose runs share a ledger and a verified cache, each on a runner with an empty store."""

    def __init__(self, box: NixBox, packages: str = PACKAGES) -> None:
        self.box = box
        box.conf(sandbox=False)
        self.flake = write_flake(box, packages)
        (self.flake / "note").write_text("a source\n")
        self.cache = box.work / "kept"

    def check(self, *args: str, what: str = "all") -> Said:
        self.box.run(["nix-collect-garbage"])
        kept = ["--ledger", str(self.box.work / "ledger.db"), "--verified-cache", str(self.cache)]
        return nix_repro(self.box, "check", what, "--explain", "off", *kept, *args, cwd=self.flake)


def built(said: Said) -> set[str]:
    return {d["name"] for d in said.derivations if any(build["status"] == "built" for build in d["builds"])}


def rebuilt(said: Said) -> set[str]:
    return {d["name"] for d in said.derivations if any(build["round"] > 1 for build in d["builds"])}


def complaints(said: Said) -> list[str]:
    return [*said.report["warnings"], *said.report["caches"]["incidents"]]


def test_what_is_verified_is_fetched_and_what_diverges_is_built(sandbox_nix: NixBox) -> None:
    flake = Repository(sandbox_nix)
    first = flake.check()
    names = {path.partition("-")[2] for path in first.report["verified_paths"]}
    assert names == {"leaf", "top", "top-dev", "hidden"}, first.out
    assert first.report["verified_cache"]["added"] == 4, complaints(first)

    said = flake.check()
    assert complaints(said) == []
    assert built(said) == DIVERGENT | {"hidden"}
    assert rebuilt(said) == DIVERGENT
    assert {layer["name"]: layer["paths"] for layer in said.report["caches"]["layers"]} == {
        "verified cache": 3,
        "built": 4,
    }
    assert said.derivation("leaf")["outputs"]["out"]["hashes"][0]["source"] == "substituted"
    use = said.report["verified_cache"]
    assert (use["paths"], use["added"], use["removed"]) == (4, 0, 0)
    assert said.report["verified_paths"] == first.report["verified_paths"]


def described(cache: Path, name: str) -> Path:
    """The .narinfo of the path with this name."""
    return next(file for file in cache.glob("*.narinfo") if re.match(f"StorePath: .*-{name}\n", file.read_text()))


def damage(cache: Path, how: str) -> None:
    """Spoil what the cache says of leaf, in ways that only Nix can tell."""
    leaf, top = (described(cache, name) for name in ("leaf", "top"))
    if how == "wrongly signed":
        leaf.write_text(re.sub(r"(Sig: .*:)....", r"\1AAAA", leaf.read_text()))
    else:
        # What is signed says nothing of the archive's file.
        of_top = dict(re.findall("(URL|FileSize): (.*)", top.read_text()))
        leaf.write_text(re.sub("(URL|FileSize): .*", lambda row: f"{row[1]}: {of_top[row[1]]}", leaf.read_text()))


@pytest.mark.series("2.8", "2.34")
def test_an_entry_that_is_not_as_it_was_made_costs_one_line(sandbox_nix: NixBox) -> None:
    flake = Repository(sandbox_nix, PACKAGES.partition("random =")[0])
    flake.check()
    secret = flake.cache / NAME / "secret-key"
    for how, said_of_it in {
        "wrongly signed": "not all of it is signed by its own key",
        "another's archive": "an archive does not have the hash it is listed with",
    }.items():
        key = secret.read_text()
        damage(flake.cache / NAME / "cache", how)
        said = flake.check()
        [line] = complaints(said)
        assert said_of_it in line
        assert (said.code, set(said.verdicts().values())) == (0, {"reproducible"}), said.err
        assert "leaf" in built(said), how
        assert (said.report["verified_cache"]["paths"], secret.read_text() != key) == (3, True), "made anew"
    said = flake.check()
    assert (complaints(said), built(said), rebuilt(said)) == ([], set(), set())
