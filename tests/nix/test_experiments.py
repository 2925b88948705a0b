"""Experiments on real builds: each cause is proved by the change that brings the difference or takes it away. On every
Nix, the same conditions are in test_variations.py."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from command import nix_repro, write_flake

if TYPE_CHECKING:
    from store import NixBox

PACKAGES = """
  stamp = mk "stamp" "date > $out" {};
  looks-random = mk "looks-random" "date +%s%N | sha256sum | cut -c1-32 > $out" {};
  chance = mk "chance" "cat ${uuid} > $out" {};
  cores = mk "cores" "nproc > $out" {};
  order = mk "order" "mkdir d; for i in 1 2 3 4 5 6 7 8 9 a b c; do echo > d/$i; done; ls -U d > $out" {};
  path = mk "path" "pwd > $out" {};
  kernel = mk "kernel" "uname -r > $out" {};
  zone = mk "zone" "date -d @0 > $out" {};
  day = mk "day" "date +%Y > $out" {};
  same = mk "same" "echo > $out" {};
"""


@pytest.mark.series("2.34")
def test_every_cause_is_proved(sandbox_nix: NixBox) -> None:
    flake = write_flake(sandbox_nix, PACKAGES)
    said = nix_repro(sandbox_nix, "explain", ".#all", cwd=flake, timeout=300)
    found = {d["name"]: [(f["cause"], f["confidence"]) for f in d["findings"]] for d in said.derivations}
    assert found == {
        "stamp": [("timestamp", "proved")],
        "looks-random": [("timestamp", "proved")],
        "chance": [("randomness", "high")],
        "cores": [("parallelism", "proved")],
        "order": [("ordering", "proved")],
        "path": [("build-path", "proved")],
        "kernel": [("host", "proved")],
        "zone": [("locale", "proved")],
        "day": [("timestamp", "proved")],
        "same": [],
    }, said.err
    # Experiments are no verdicts: what only differs under a change is reproducible as far as the rebuilds go.
    assert {name for name, verdict in said.verdicts().items() if verdict == "divergent"} == {
        "stamp",
        "looks-random",
        "chance",
    }
    assert "the clock frozen" in said.derivation("stamp")["findings"][0]["because"]
    assert said.code == 1


@pytest.mark.series("2.8", "2.34")
def test_what_cannot_be_done_is_said(sandbox_nix: NixBox) -> None:
    sandbox_nix.conf(sandbox=False)
    flake = write_flake(sandbox_nix, PACKAGES)
    said = nix_repro(sandbox_nix, "explain", ".#stamp", ".#cores", cwd=flake)
    (warning,) = [w for w in said.report["warnings"] if "experiments" in w]
    assert "clock-frozen (it needs Nix's sandbox, which is off)" in warning
    assert said.derivation("stamp")["findings"][0]["confidence"] == "high"
    assert said.derivation("cores")["findings"][0]["confidence"] == "proved"
    said = nix_repro(sandbox_nix, "explain", ".#cores", "--rebuilder", "nix-check", cwd=flake)
    assert any("they need the shadow rebuilder" in w for w in said.report["warnings"])


def test_the_budget_ends_experiments(sandbox_nix: NixBox) -> None:
    flake = write_flake(
        sandbox_nix, 'one = mk "one" "sleep 1; date +%N > $out" {}; two = mk "two" "sleep 1; date +%N > $out" {};'
    )
    said = nix_repro(sandbox_nix, "explain", ".#one", ".#two", "--explain-budget", "2s", cwd=flake)
    assert any("the time was up (explain-budget)" in w for w in said.report["warnings"])
    assert {d["verdict"] for d in said.derivations} == {"divergent"}


@pytest.mark.series("2.8", "2.34")
def test_what_differs_with_nothing_changed_is_no_longer_the_same(sandbox_nix: NixBox) -> None:
    """The same twice, and another one from then on: whoever looks again must not call it reproducible."""
    counters = sandbox_nix.directory / "tmp" / "counters"
    counters.mkdir(mode=0o777)
    counters.chmod(0o777)
    sandbox_nix.conf(sandbox_paths=sandbox_nix.settings["sandbox-paths"] + f" {counters}")
    count = (
        f"n=$(cat {counters}/$name 2>/dev/null || echo 0); n=$((n + 1)); rm -f {counters}/$name; echo $n > "
        f"{counters}/$name"
    )
    token = "6f1c5a9b-3d2e-4f70-9a41-0c7be2d85f13"
    script = f"{count}; if test $n -lt 3; then echo {token} > $out; else cat ${{uuid}} > $out; fi"
    flake = write_flake(sandbox_nix, f'third = mk "third" "{script}" {{}};')
    said = nix_repro(sandbox_nix, "explain", ".#third", "--keep", str(sandbox_nix.work / "kept"), cwd=flake)
    assert said.verdicts() == {"third": "divergent intermittent"}, said.err
    assert {f["cause"] for f in said.derivation("third")["findings"]} == {"randomness"}
    assert (sandbox_nix.work / "kept/third/out/b").is_file()
    assert said.code == 1
