"""True verdicts on real builds: every case with every rebuilder on every Nix."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from command import nix_repro, write_flake

if TYPE_CHECKING:
    from store import NixBox

STORE = "local?root=/nix/other"
REBUILDERS = ("shadow", "replace", "nix-check", STORE)

CASES = """
  same = mk "same" "echo same > $out" {};
  chance = mk "chance" "cat ${uuid} > $out" {};
  two-of-three = mk "two-of-three" "echo > $out; cat ${uuid} > $doc; cat ${uuid} > $dev" {
    outputs = [ "out" "dev" "doc" ]; };
  second-only = mk "second-only" "echo > $out; cat ${uuid} > $doc" { outputs = [ "out" "doc" ]; };
  floating = mk "floating" "cat ${uuid} > $out" {
    __contentAddressed = true; outputHashMode = "recursive"; outputHashAlgo = "sha256"; };
  fixed = mk "fixed" "echo fixed > $out" {
    outputHashMode = "flat"; outputHashAlgo = "sha256";
    outputHash = "0c3071418e6356e614898c84ed064ca95e88551bc0811b534bdf1952ecdae534"; };
  hidden = mk "hidden" "cat ${uuid} > $out" {};
  on-hidden = mk "on-hidden" "test -s ${hidden} && echo deterministic > $out" {};
  a = mk "a" "cat ${uuid} > $out" {};
  b = mk "b" "cat ${a} > $out" {};
  c = mk "c" "cat ${b} > $out" {};
  self = mk "self" "echo $out | gzip -n > $out" {};
  broken = mk "broken" "echo this is why; exit 7" {};
  on-broken = mk "on-broken" "cat ${broken} > $out" {};
  slow = mk "slow" "echo sleeping; sleep 60; echo > $out" {};
"""
EVERYWHERE = {
    "same": "reproducible",
    "fixed": "unverified: fixed-output",
    "on-hidden": "reproducible",
    "broken": "build-failed",
    "on-broken": "unverified: a dependency failed to build: broken",
    "slow": "unverified: timed out",
    "self": "reproducible",
}
WHOLE = EVERYWHERE | {
    "chance": "divergent",
    "two-of-three": "divergent",
    "second-only": "divergent",
    "floating": "divergent",
    "hidden": "divergent",
    "a": "divergent",
    "b": "reproducible propagated",
    "c": "reproducible propagated",
}
CHECKED = WHOLE | {
    "floating": "unverified: content-addressed: nix --check compares nothing",
    # nix --check takes the registered inputs: what only inherits a difference is the same.
    "b": "reproducible",
    "c": "reproducible",
}


@pytest.fixture
def flake(sandbox_nix: NixBox) -> Path:
    return write_flake(sandbox_nix, CASES)


@pytest.mark.parametrize("rebuilder", REBUILDERS)
def test_every_case(sandbox_nix: NixBox, flake: Path, rebuilder: str) -> None:
    said = nix_repro(
        sandbox_nix, "check", ".#all", "--rebuilder", rebuilder, "--timeout", "4s", "--jobs", "2", cwd=flake
    )
    assert said.verdicts() == (CHECKED if rebuilder == "nix-check" else WHOLE), said.err
    assert said.code == 1
    assert said.report["rebuilder"] == ("store" if rebuilder == STORE else rebuilder)
    assert "this is why" in next(b["log"] for b in said.derivation("broken")["builds"])
    assert said.outputs("second-only") == (
        {"out": "unverified: only first output seen", "doc": "divergent"}
        if rebuilder == "nix-check"
        else {"out": "reproducible", "doc": "divergent"}
    )
    three = said.outputs("two-of-three")
    if rebuilder == "nix-check":
        assert sorted(three.values()) == [
            "divergent",
            "unverified: only first output seen",
            "unverified: only first output seen",
        ]
    else:
        assert three == {"out": "reproducible", "dev": "divergent", "doc": "divergent"}
    assert ("with the first build's inputs, level 2 of 2\n" in said.err) == (rebuilder != "nix-check")
    for name in ("chance", "same"):
        first, again = said.derivation(name)["outputs"]["out"]["hashes"]
        assert (first["source"], again["source"]) == ("built", "rebuilt")
        assert (first["nar_hash"] == again["nar_hash"]) == (name == "same")


@pytest.mark.parametrize("rebuilder", REBUILDERS[:3])
def test_the_store_is_left_as_it_was(sandbox_nix: NixBox, flake: Path, rebuilder: str) -> None:
    installables = (".#chance", ".#c", ".#two-of-three", ".#same")
    build = [".#chance", ".#c", ".#same"]
    sandbox_nix.nix("build", "--no-link", *(f"path:{flake}{name[1:]}" for name in build))
    before = registered(sandbox_nix)
    said = nix_repro(sandbox_nix, "check", *installables, "--rebuilder", rebuilder, cwd=flake)
    assert said.code == 1
    after = registered(sandbox_nix)
    assert before.items() <= after.items()
    assert sandbox_nix.run(["nix-store", "--verify", "--check-contents"]).returncode == 0
    assert not list((sandbox_nix.directory / "nix/var/nix-repro").glob("*"))
    assert not [path.name for path in sandbox_nix.store_dir.iterdir() if path.name.endswith(".check")]
    assert not list((sandbox_nix.directory / "tmp").glob("nix-repro-*"))


def registered(box: NixBox) -> dict[str, str]:
    """The narHash of every valid path that is not a derivation."""
    said = box.run(["sh", "-c", "nix-store --dump-db | grep ^/nix/store/ | sort -u"]).stdout
    paths = [path for path in said.split() if not path.endswith(".drv")]
    return dict(
        zip(paths, box.run(["nix-store", "--query", "--hash", *paths]).stdout.split("sha256:")[1:], strict=True)
    )


def test_path_rewriting_is_no_divergence(sandbox_nix: NixBox, flake: Path) -> None:
    sandbox_nix.conf(sandbox=False)
    for rebuilder, verdict in (
        ("nix-check", "unverified: path rewriting"),
        ("shadow", "reproducible"),
        ("replace", "reproducible"),
    ):
        said = nix_repro(sandbox_nix, "check", ".#self", "--rebuilder", rebuilder, cwd=flake)
        assert said.verdicts() == {"self": verdict}, rebuilder
        assert said.code == (5 if rebuilder == "nix-check" else 0)


@pytest.mark.parametrize("rebuilder", ["shadow", "replace"])
def test_a_rebuild_that_fails_and_one_that_differs_now_and_then(sandbox_nix: NixBox, rebuilder: str) -> None:
    counters = sandbox_nix.directory / "tmp" / "counters"
    counters.mkdir(mode=0o777)
    counters.chmod(0o777)
    sandbox_nix.conf(sandbox_paths=sandbox_nix.settings["sandbox-paths"] + f" {counters}")
    count = (
        f"n=$(cat {counters}/$name 2>/dev/null || echo 0); n=$((n + 1)); rm -f {counters}/$name; echo $n > "
        f"{counters}/$name"
    )
    flake = write_flake(
        sandbox_nix,
        f"""
        fails = mk "fails" "{count}; echo attempt $n; test $n = 1 && echo > $out" {{}};
        third = mk "third" "{count}; if test $n = 3; then echo other > $out; else echo > $out; fi" {{}};
        """,
    )
    # What does not build with variations is built again without, which would be one more.
    args = ("--rounds", "3", "--rebuilder", rebuilder, "--vary", "none")
    said = nix_repro(sandbox_nix, "check", ".#fails", ".#third", *args, cwd=flake)
    assert said.verdicts() == {"fails": "rebuild-failed", "third": "divergent intermittent"}
    assert [b["status"] for b in said.derivation("third")["builds"]] == ["built", "built", "built"]
    assert "attempt 2" in said.derivation("fails")["builds"][1]["log"]
    assert said.code == 1


@pytest.mark.series("2.8", "2.34")
@pytest.mark.parametrize("rebuilder", REBUILDERS)
def test_both_sides_are_kept(sandbox_nix: NixBox, flake: Path, rebuilder: str) -> None:
    keep = sandbox_nix.work / "kept"
    nix_repro(sandbox_nix, "check", ".#second-only", ".#b", "--rebuilder", rebuilder, "--keep", str(keep), cwd=flake)
    found = {str(path.relative_to(keep)) for path in keep.rglob("*") if path.is_file()}
    assert found == {f"{name}/{side}" for name in ("second-only/doc", "a/out") for side in "ab"}
    for output in ("second-only/doc", "a/out"):
        assert (keep / output / "a").read_bytes() != (keep / output / "b").read_bytes()


@pytest.mark.parametrize("rebuilder", ["shadow", "replace"])
def test_builds_take_as_long_as_they_take(sandbox_nix: NixBox, rebuilder: str) -> None:
    flake = write_flake(
        sandbox_nix,
        """
        short = mk "short" "sleep 0.2; echo short > $out" {};
        long = mk "long" "sleep 4; echo > $out" {};
        above = mk "above" "cat ${short}; sleep 1; mkdir $out" {};
        """,
    )
    said = nix_repro(sandbox_nix, "check", ".#all", "--rebuilder", rebuilder, "--jobs", "3", cwd=flake)
    for build in (0, 1):
        seconds = {d["name"]: d["builds"][build]["seconds"] for d in said.derivations}
        # Nix 2.8 and 2.26 tell of the end of them all when the long one has ended.
        assert None not in seconds.values(), (said.err, said.derivations)
        assert max(seconds["short"], seconds["above"]) < seconds["long"] - 1, seconds
        assert seconds["short"] >= 0.15
