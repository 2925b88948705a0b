"""What Nix does not take, or cannot build, is a failed build, named as such, and takes nothing else with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from command import nix_repro, write_flake

if TYPE_CHECKING:
    from store import NixBox

REJECTED = """
  fine = mk "fine" "sleep 1; echo fine > $out" {};
  cycle = mk "cycle" "echo $dev > $out; echo $out > $dev" { outputs = [ "out" "dev" ]; };
  pipe = mk "pipe" "mkdir $out; mkfifo $out/p" {};
  refers = mk "refers" "echo ${fine} > $out" { disallowedReferences = [ fine ]; };
  open = mk "open" "mkdir $out; chmod 777 $out" {};
  on-open = mk "on-open" "cat ${open} > $out" {};
  featured = mk "featured" "echo > $out" { requiredSystemFeatures = [ "rare" ]; };
"""


@pytest.mark.parametrize("sandbox", [True, False])
def test_what_nix_rejects_has_failed_and_the_rest_is_built(sandbox_nix: NixBox, sandbox: bool) -> None:
    sandbox_nix.conf(sandbox=sandbox)
    flake = write_flake(sandbox_nix, REJECTED)
    said = nix_repro(sandbox_nix, "check", ".#all", "--jobs", "4", cwd=flake)
    assert said.verdicts() == {
        "fine": "reproducible",
        "cycle": "build-failed",
        "pipe": "build-failed",
        "refers": "build-failed",
        "open": "build-failed",
        "on-open": "unverified: a dependency failed to build: open",
        "featured": "build-failed",
    }, said.err
    assert said.code == 4
    reasons = {name: said.derivation(name)["reason"] for name in ("cycle", "pipe", "refers", "open", "featured")}
    assert reasons["cycle"].startswith("cycle detected in build of ")
    assert reasons["pipe"].endswith("has an unsupported type")
    assert "is not allowed to refer to the following paths: " in reasons["refers"]
    assert reasons["refers"].endswith("-fine"), "which path it is"
    assert "printed nothing" not in said.out, "where Nix has said more"
    assert "suspicious ownership or permission" in reasons["open"]
    assert "the system features {rare}" in reasons["featured"]


FOREIGN = """
  far = mk "far" "echo far > $out" { system = "far-linux"; };
  featured = mk "featured" "echo > $out" { requiredSystemFeatures = [ "rare" ]; };
  near = mk "near" "echo ${far} > $out" {};
"""


def test_what_this_machine_cannot_build_again_is_unverified_alone(sandbox_nix: NixBox) -> None:
    """Other machines built it, or a cache had it."""
    flake = write_flake(sandbox_nix, FOREIGN)
    options = ("--option", "extra-platforms", "far-linux", "--option", "system-features", "rare")
    drvs = [sandbox_nix.nix("eval", "--raw", f"{flake}#{name}.drvPath").stdout for name in ("near", "featured")]
    sandbox_nix.run(["nix-store", "--realise", *options, *drvs])
    said = nix_repro(sandbox_nix, "check", ".#near", ".#featured", cwd=flake)
    assert said.verdicts() == {
        "near": "reproducible",
        "far": "unverified: it is for a system, or needs a feature, that this machine does not have",
        "featured": "unverified: it is for a system, or needs a feature, that this machine does not have",
    }, said.err
    assert said.code == 5


def test_what_makes_nix_give_up_at_once_takes_nothing_with_it(sandbox_nix: NixBox) -> None:
    """Before it starts any builder, with or without a name; the derivation of the latter is found."""
    sandbox_nix.conf(
        experimental_features="nix-command flakes ca-derivations"
        + (" dynamic-derivations" if sandbox_nix.version > (2, 8, 9) else "")
    )
    nameless = """
      nameless = mk "nameless.drv" "printf 'Derive([],[],[],\\"\\",\\"\\",[],[])' > $out" {
        __contentAddressed = true; outputHashMode = "text"; outputHashAlgo = "sha256"; };
    """
    flake = write_flake(
        sandbox_nix,
        """
      outside = mk "outside" "echo > $out" { __noChroot = true; };
      fine = mk "fine" "echo fine > $out" {};
      finer = mk "finer" "cat ${fine} > $out" {};
    """
        + (nameless if sandbox_nix.version > (2, 8, 9) else ""),
    )
    said = nix_repro(sandbox_nix, "check", "all", cwd=flake)
    failed = {name: verdict for name, verdict in said.verdicts().items() if name not in ("outside", "nameless.drv")}
    assert failed == {"fine": "reproducible", "finer": "reproducible"}, said.err
    assert said.derivation("outside")["verdict"] == "build-failed"
    assert "has '__noChroot' set" in said.derivation("outside")["reason"]
    assert all(d["reason"] != "error:" for d in said.derivations)
    assert said.code == 4


def test_outside_of_the_sandbox_nix_check_rewrites_paths(sandbox_nix: NixBox) -> None:
    sandbox_nix.conf(sandbox="relaxed")
    flake = write_flake(
        sandbox_nix,
        """
      outside = mk "outside" "echo $out | gzip -n > $out" { __noChroot = true; };
      inside = mk "inside" "echo $out | gzip -n > $out" {};
      differs = mk "differs" "cat ${uuid} > $out" {};
    """,
    )
    said = nix_repro(sandbox_nix, "check", "all", "--rebuilder", "nix-check", cwd=flake)
    assert said.verdicts() == {
        "outside": "unverified: path rewriting",
        "inside": "reproducible",
        "differs": "divergent",
    }, said.err
    assert not list((sandbox_nix.directory / "tmp").iterdir()), "a build directory was left"
    assert not list(sandbox_nix.store_dir.glob("*.check"))


def test_what_is_never_rebuilt_has_to_be_built_all_the_same(sandbox_nix: NixBox) -> None:
    sandbox_nix.conf(experimental_features="nix-command flakes ca-derivations impure-derivations")
    zeros = "sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
    flake = write_flake(
        sandbox_nix,
        f"""
      fine = mk "fine" "echo fine > $out" {{}};
      impure = mk "impure" "false" {{ __impure = true; }};
      fetched = mk "fetched" "printf x > $out" {{
    outputHashMode = "recursive"; outputHashAlgo = "sha256"; outputHash = "{zeros}"; }};
      above = mk "above" "cat ${{fetched}} > $out" {{}};
    """,
    )
    for names in (("fine", "fetched"), ("fine", "impure"), ("fine", "above")):
        said = nix_repro(sandbox_nix, "check", *(f".#{name}" for name in names), cwd=flake)
        verdicts = said.verdicts()
        assert verdicts["fine"] == "reproducible"
        assert verdicts["impure" if "impure" in names else "fetched"] == "build-failed", (names, verdicts)
        assert (said.code, said.report["conclusion"]) == (4, "fail")


def test_one_that_crashes_nix_takes_nothing_with_it(sandbox_nix: NixBox) -> None:
    """2.8 gives up with an assertion over a fixed-output derivation whose output refers to something."""
    several = " ".join(f'p{n} = mk "p{n}" "sleep 0.1; echo {n} > $out" {{}};' for n in range(12))
    crash = """outputHashMode = "flat"; outputHashAlgo = "sha256";
        outputHash = "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";"""
    flake = write_flake(
        sandbox_nix,
        f"""
      {several}
      crash = mk "crash" "echo ${{p0}} > $out" {{ {crash} }};
      another = mk "another" "echo ${{p1}} > $out" {{ {crash} }};
      above = mk "above" "cat ${{crash}} > $out" {{}};
    """,
    )
    said = nix_repro(sandbox_nix, "check", "all", "--jobs", "2", cwd=flake)
    verdicts = said.verdicts()
    assert {name: verdicts.pop(name) for name in [f"p{n}" for n in range(12)]} == {
        f"p{n}": "reproducible" for n in range(12)
    }, said.err
    assert verdicts == {
        "crash": "build-failed",
        "another": "build-failed",
        "above": "unverified: a dependency failed to build: crash",
    }
    assert said.code == 4
    if sandbox_nix.version < (2, 9):
        assert said.derivation("crash")["reason"].startswith("Nix crashed (signal 6): nix-store: ")


def test_an_attribute_that_does_not_evaluate_is_named_and_the_rest_is_checked(sandbox_nix: NixBox) -> None:
    flake = write_flake(
        sandbox_nix,
        """
      same = mk "same" "echo same > $out" {};
      differs = mk "differs" "cat ${uuid} > $out" {};
      throws = throw "the flake is wrong";
      "a.b" = mk "a.b" "" { x = assert false; "x"; };
      typed = mk "typed" [ 1 ] { x = 1 + "1"; };
      missing = { }.nothing;
      lost = mk "lost" "" { inherit (builtins.abort "for good") x; };
    """,
    )
    said = nix_repro(sandbox_nix, "check", "all", cwd=flake)
    broken = ("throws", "a.b", "typed", "missing", "lost")
    truth = {"same": "reproducible", "differs": "divergent"} | dict.fromkeys(broken, "build-failed")
    assert said.verdicts() == truth, said.err
    assert said.code == 1
    reasons = {name: said.derivation(name)["reason"] for name in broken}
    assert all(reason.startswith("evaluation failed: ") for reason in reasons.values()), reasons
    assert "the flake is wrong" in reasons["throws"]
    assert "for good" in reasons["lost"]


def test_when_nothing_evaluates_everything_is_named(sandbox_nix: NixBox) -> None:
    flake = write_flake(sandbox_nix, 'one = throw "wrong"; two = throw "wrong, too";')
    said = nix_repro(sandbox_nix, "check", "all", cwd=flake)
    assert said.verdicts() == {"one": "build-failed", "two": "build-failed"}, said.err
    assert (said.code, said.report["conclusion"]) == (4, "fail")
