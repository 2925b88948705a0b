"""Runs that keep what is verified, and nothing else, where the next one fetches it."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from command import nix_repro, take_home, write_flake

if TYPE_CHECKING:
    from command import Said
    from store import NixBox

FIXED = hashlib.sha256(b"fixed\n").hexdigest()
PACKAGES = """
fixed = mk "fixed" "echo fixed > $out" { outputHashAlgo = "sha256"; outputHash = "HASH"; };
leaf = mk "leaf" "echo ${fixed} > $out" {};
top = mk "top" "echo ${leaf} ${./note} > $out; echo more > $dev" { outputs = [ "out" "dev" ]; };
hidden = mk "hidden" "echo hidden > $out" { allowSubstitutes = ""; };
random = mk "random" "cat ${uuid} > $out" {};
above = mk "above" "echo ${random} > /dev/null; echo above > $out" {};
victim = mk "victim" "cat ${random} > $out" {};
""".replace("HASH", FIXED)
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


@pytest.mark.series("2.34")
def test_what_is_verified_is_fetched_and_what_diverges_is_built(sandbox_nix: NixBox) -> None:
    today = sandbox_nix.work / "today"
    today.write_text("monday\n")
    flake = Repository(sandbox_nix, PACKAGES + f'dated = mk "dated" "cat {today} > $out" {{}};')
    first = flake.check()
    names = {path.partition("-")[2] for path in first.report["verified_paths"]}
    assert names == {"leaf", "top", "top-dev", "hidden", "dated"}, first.out
    assert first.report["verified_cache"]["added"] == 6, "and the download that leaf refers to"

    said = flake.check()
    assert complaints(said) == []
    assert (built(said), rebuilt(said)) == (DIVERGENT | {"hidden"}, DIVERGENT)
    layers = {layer["name"]: layer["paths"] for layer in said.report["caches"]["layers"]}
    assert layers == {"verified cache": 5, "built": 4}
    assert said.derivation("leaf")["outputs"]["out"]["hashes"][0]["source"] == "substituted"
    use = said.report["verified_cache"]
    assert (use["paths"], use["added"], use["removed"]) == (6, 0, 0)
    assert said.report["verified_paths"] == first.report["verified_paths"]

    # What turns out to diverge is taken out, though it had been verified.
    today.write_text("tuesday\n")
    said = flake.check("--recheck")
    assert said.verdicts()["dated"] == "divergent"
    use = said.report["verified_cache"]
    assert (use["paths"], use["added"], use["removed"]) == (5, 0, 1)


@pytest.mark.series("2.26")
def test_who_may_name_no_cache_is_told_so(sandbox_nix: NixBox) -> None:
    sandbox_nix.conf(sandbox=False, trusted_users="root")
    flake = take_home(sandbox_nix, write_flake(sandbox_nix, 'one = mk "one" "echo one > $out" {};'))
    kept = sandbox_nix.user_home / "kept"
    with sandbox_nix.daemon():
        said = nix_repro(sandbox_nix, "check", ".#one", "--verified-cache", str(kept), cwd=flake, user=True)
    assert (said.code, len(said.report["verified_paths"]), kept.exists()) == (0, 1, False)
    [line] = [line for line in complaints(said) if "verified cache" in line]
    assert "trusted-users" in line


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


@pytest.mark.series("2.8")
def test_an_entry_that_is_not_as_it_was_made_costs_one_line(sandbox_nix: NixBox) -> None:
    flake = Repository(sandbox_nix, PACKAGES.partition("hidden =")[0])
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
        assert (said.code, {said.verdicts()[name] for name in ("leaf", "top")}) == (0, {"reproducible"}), said.err
        assert "leaf" in built(said), how
        assert (said.report["verified_cache"]["paths"], secret.read_text() != key) == (4, True), "made anew"
    said = flake.check()
    assert (complaints(said), built(said), rebuilt(said)) == ([], set(), set())
