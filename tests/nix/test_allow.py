"""A repository that is not reproducible is adopted in one command, and told when the rules have done their work."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from command import COMMAND, SYSTEM, nix_repro, write_flake

if TYPE_CHECKING:
    from pathlib import Path

    from store import NixBox

ROOT = 'root = mk "root-1.0" "cat ${uuid} > $out" {};'
PACKAGES = f"""
  {ROOT}
  top = mk "top" "cat ${{root}} > $out" {{}};
  parts = mk "parts" "echo same > $out; cat ${{uuid}} > $doc" {{ outputs = [ "out" "doc" ]; }};
  same = mk "same" "echo same > $out" {{}};
"""
FILE = "# ours\ninstallables: all # of it\nupstream-caches: none\n"
REASON = "known from the start"


def allow(box: NixBox, flake: Path, *args: str) -> str:
    done = box.run([*COMMAND, "allow", *args], cwd=flake, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.series("2.34")
def test_adopted_fixed_and_expired(sandbox_nix: NixBox) -> None:
    flake = write_flake(sandbox_nix, PACKAGES)
    file = flake / ".nix-repro.yml"
    file.write_text(FILE)
    said = allow(sandbox_nix, flake, "--all-current", "--reason", REASON)
    assert "2 of 4 derivations diverge" in said
    assert "2 rules added to .nix-repro.yml" in said
    rules = f"  - name: parts\n    reason: {REASON}\n  - name: root\n    reason: {REASON}\n"
    assert file.read_text() == f"{FILE}allow:\n{rules}"

    known = nix_repro(sandbox_nix, "check", cwd=flake)
    assert known.code == 0, known.out
    assert known.verdicts() == {
        "root-1.0": "divergent known",
        "top": "reproducible propagated known",
        "parts": "divergent known",
        "same": "reproducible",
    }
    same = "no difference found in 1 derivation (1 output); 1 differs only through an input"
    assert known.out.rstrip().endswith(f"✓ 2 of 4 derivations diverge, known: {REASON}; {same}")
    assert known.derivation("root-1.0")["findings"], "it is explained all the same"

    write_flake(sandbox_nix, PACKAGES.replace(ROOT, 'root = mk "root-1.1" "echo fixed > $out" {};'))
    allow(sandbox_nix, flake, "parts", "--reason", "only doc", "--output", "doc", "--until", "2099-12-31")
    allow(sandbox_nix, flake, f"packages.{SYSTEM}.none", "--reason", "gone")
    file.write_text(file.read_text().replace("2099-12-31", "2020-01-31"))
    fixed = nix_repro(sandbox_nix, "check", "--fail-on", "divergence,expired-rule,unexpected-pass", cwd=flake)
    assert (fixed.code, fixed.report["conclusion"]) == (3, "fail")
    assert {(rule["line"], rule["name"]): rule["state"] for rule in fixed.report["allow"]} == {
        (5, "parts"): "in use",
        (7, "root"): "now reproducible",
        (9, "parts"): "expired",
        (13, f"packages.{SYSTEM}.none"): "matches nothing",
    }
    assert "✗ .nix-repro.yml:7: allow rule for root: not needed this time" in fixed.out
    assert "✗ .nix-repro.yml:9: allow rule for parts (output doc): expired on 2020-01-31" in fixed.out
    assert "? .nix-repro.yml:13: allow rule for packages" in fixed.out
