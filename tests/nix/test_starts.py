"""Where a run may start from: nothing built, half of it, everything from a cache; and who is running it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from command import nix_repro, take_home, write_flake

if TYPE_CHECKING:
    from pathlib import Path

    from store import NixBox

#: What is tested is ours: the oldest and the newest Nix are enough.
pytestmark = pytest.mark.series("2.8", "2.34")

SIMPLE = """
  same = mk "same" "echo same > $out" {};
  chance = mk "chance" "cat ${uuid} > $out; echo ${same} >> $out" {};
  pair = mk "pair" "echo > $out; echo > $doc" { outputs = [ "out" "doc" ]; };
"""


@pytest.fixture
def flake(sandbox_nix: NixBox) -> Path:
    return write_flake(sandbox_nix, SIMPLE)


def test_half_valid(sandbox_nix: NixBox, flake: Path) -> None:
    out, doc = (sandbox_nix.nix("eval", "--raw", f"path:{flake}#pair.{o}.outPath").stdout for o in ("out", "doc"))
    sandbox_nix.nix("build", "--no-link", f"path:{flake}#pair")
    sandbox_nix.run(["nix-store", "--delete", "--ignore-liveness", doc])
    said = nix_repro(sandbox_nix, "check", ".#pair", cwd=flake)
    hashes = {name: [h["source"] for h in o["hashes"]] for name, o in said.derivation("pair")["outputs"].items()}
    assert hashes == {"out": ["present", "rebuilt"], "doc": ["built", "rebuilt"]}
    assert said.derivation("pair")["outputs"]["out"]["path"] == out
    assert said.code == 0


def test_fully_substituted_is_compared_with_the_caches_copy(sandbox_nix: NixBox, flake: Path) -> None:
    cache = f"file://{sandbox_nix.work}/cache"
    sandbox_nix.nix("build", "--no-link", f"path:{flake}#chance")
    paths = [sandbox_nix.nix("eval", "--raw", f"path:{flake}#{name}.outPath").stdout for name in ("chance", "same")]
    sandbox_nix.nix("copy", "--to", cache, paths[0])
    sandbox_nix.run(["nix-store", "--delete", "--ignore-liveness", *paths])
    sandbox_nix.conf(substituters=cache, require_sigs=False)
    said = nix_repro(sandbox_nix, "check", ".#chance", cwd=flake)
    assert said.verdicts() == {"chance": "divergent", "same": "reproducible"}
    first, again = said.derivation("chance")["outputs"]["out"]["hashes"]
    assert (first["source"], first["origin"]) == ("substituted", cache)
    assert again["source"] == "rebuilt"
    assert said.derivation("chance")["builds"][0]["status"] == "substituted"
    # The same cache, called upstream: then these are not the repository's own.
    said = nix_repro(sandbox_nix, "check", ".#chance", ".#pair", "--upstream-caches", cache, cwd=flake)
    assert said.verdicts() == {"pair": "reproducible", "chance": "unverified: out of scope: an upstream cache has it"}
    assert [s["reason"] for s in said.report["skipped"]] == ["out of scope: an upstream cache has it"]
    assert said.code == 0


def test_upstream_out_of_reach(sandbox_nix: NixBox, flake: Path) -> None:
    sandbox_nix.nix("build", "--no-link", f"path:{flake}#same")
    said = nix_repro(sandbox_nix, "check", ".#chance", "--upstream-caches", "http://127.0.0.1:9", cwd=flake)
    assert said.verdicts() == {"chance": "divergent", "same": "unverified: upstream unreachable"}
    assert len([w for w in said.report["warnings"] if "127.0.0.1:9" in w]) == 1
    assert said.code == 1


@pytest.mark.parametrize("rebuilder", ["shadow", "replace", "nix-check"])
def test_a_post_build_hook_sees_builds_and_no_rebuilds(sandbox_nix: NixBox, flake: Path, rebuilder: str) -> None:
    seen = sandbox_nix.directory / "tmp" / "uploaded"
    hook = sandbox_nix.work / "hook"
    hook.write_text(f'#!/bin/sh\necho "$DRV_PATH" >> {seen}\n')
    hook.chmod(0o755)
    sandbox_nix.conf(post_build_hook=str(hook))
    said = nix_repro(sandbox_nix, "check", ".#chance", "--rebuilder", rebuilder, "--rounds", "3", cwd=flake)
    assert said.verdicts() == {"chance": "divergent", "same": "reproducible"}
    uploaded = seen.read_text().split()
    assert len(uploaded) == len(set(uploaded)) == 2


def test_untrusted_user_of_a_daemon(sandbox_nix: NixBox, flake: Path) -> None:
    home = take_home(sandbox_nix, flake)
    with sandbox_nix.daemon():
        said = nix_repro(sandbox_nix, "check", ".#chance", cwd=home, user=True)
        assert said.report["rebuilder"] == "nix-check"
        assert said.verdicts() == {"chance": "divergent", "same": "reproducible"}
        assert any("--rebuilder shadow" in warning for warning in said.report["warnings"])
        said = nix_repro(sandbox_nix, "check", ".#chance", "--rebuilder", "replace", cwd=home, user=True)
        assert said.verdicts() == {"chance": "divergent", "same": "reproducible"}
        assert any("the store now holds the rebuild" in warning for warning in said.report["warnings"])


def test_untrusted_user_cannot_switch_off_a_hook(sandbox_nix: NixBox, flake: Path) -> None:
    sandbox_nix.conf(post_build_hook="/bin/true")
    home = take_home(sandbox_nix, flake)
    with sandbox_nix.daemon():
        for rebuilder in ("auto", "replace", "nix-check"):
            said = nix_repro(sandbox_nix, "check", ".#same", "--rebuilder", rebuilder, cwd=home, user=True)
            assert said.code == 2
            assert "post-build-hook" in said.err


def test_the_shape_of_a_hosted_runner(sandbox_nix: NixBox, flake: Path) -> None:
    home = take_home(sandbox_nix, flake)
    with sandbox_nix.daemon():
        keep = sandbox_nix.user_home / "kept"
        said = nix_repro(
            sandbox_nix, "check", ".#chance", ".#pair", "--keep", str(keep), cwd=home, user=True, env={"CI": "true"}
        )
    assert said.report["rebuilder"] == "shadow"
    assert said.verdicts() == {"chance": "divergent", "same": "reproducible", "pair": "reproducible"}
    assert (keep / "chance/out/a").read_text() != (keep / "chance/out/b").read_text()
    assert (keep / "chance/out/b").stat().st_uid == keep.stat().st_uid
    assert not list((sandbox_nix.directory / "nix/var/nix-repro").glob("*"))


def test_a_container_without_the_right_to_mount(sandbox_nix: NixBox, flake: Path) -> None:
    sandbox_nix.conf(sandbox=False)
    said = nix_repro(sandbox_nix, "check", ".#chance", ".#pair", cwd=flake, capabilities=False, env={"CI": "true"})
    assert said.report["rebuilder"] == "replace"
    assert said.verdicts() == {"chance": "divergent", "same": "reproducible", "pair": "reproducible"}
    said = nix_repro(sandbox_nix, "check", ".#pair", "--rebuilder", "shadow", cwd=flake, capabilities=False)
    assert said.code == 2
    assert "rebuilder shadow" in said.err


def test_what_is_in_use_is_not_replaced(sandbox_nix: NixBox, flake: Path) -> None:
    sandbox_nix.nix("build", "--out-link", str(sandbox_nix.work / "result"), f"path:{flake}#chance")
    said = nix_repro(sandbox_nix, "check", ".#chance", ".#pair", "--rebuilder", "replace", cwd=flake)
    assert said.verdicts() == {"chance": "divergent", "same": "reproducible", "pair": "reproducible"}
    assert any("in use" in warning for warning in said.report["warnings"])
    assert "nix --check" in said.derivation("chance")["outputs"]["out"]["hashes"][1]["origin"]
    assert "in the store" in said.derivation("pair")["outputs"]["out"]["hashes"][1]["origin"]
