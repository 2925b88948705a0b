"""What diverges, and whether the base has it too: by building it, by the ledger, by a report."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from command import SYSTEM, nix_repro, write_flake

if TYPE_CHECKING:
    from pathlib import Path

    from command import Said
    from store import NixBox

_BASE = """
stale = mk "stale-1" "cat ${uuid} > $out" {};
same = mk "same" "cat ${uuid} > $out" {};
broken = mk "broken" "exit 1" {};
app = mk "app" "cat ${lib} > $out" {};
lib = mk "lib" "echo lib > $out" {};
"""
_HEAD = """
stale = mk "stale-2" "echo 2 > $out; cat ${uuid} >> $out" {};
same = mk "same" "cat ${uuid} > $out" {};
broken = mk "broken" "cat ${uuid} > $out" {};
app = mk "app" "cat ${lib} > $out" {};
lib = mk "lib" "echo lib > $out; cat ${uuid} >> $out" {};
fresh = mk "fresh" "cat ${uuid} > $out" {};
"""


def commit(box: NixBox, packages: str) -> Path:
    directory = write_flake(box, packages)
    who = {f"GIT_{who}_{what}": "t@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    for args in (["init", "-q", "-b", "main"], ["add", "-A"], ["commit", "-q", "-m", "change"]):
        box.run(["git", *args], cwd=directory, env=who)
    return directory


def standings(said: Said) -> dict[str, str]:
    return {d["name"]: d["on_base"]["standing"] for d in said.derivations if d["on_base"] is not None}


@pytest.mark.series("2.8", "2.34")
def test_a_change_answers_for_what_it_brings(sandbox_nix: NixBox) -> None:
    sandbox_nix.conf(sandbox=False)
    directory = commit(sandbox_nix, _BASE)
    only_new = ["--fail-on", "new-divergence", "--upstream-caches", "none"]
    ledger = ("--ledger", str(sandbox_nix.work / "ledger.db"))
    of_base = nix_repro(sandbox_nix, "check", "all", *only_new, *ledger, cwd=directory)
    assert (of_base.code, of_base.report["conclusion"]) == (5, "inconclusive"), "there is no base"
    assert of_base.err.count("not known whether the base has these divergences too") == 1
    assert "not known whether the base has them too" in of_base.out
    report = sandbox_nix.work / "base.json"
    (sandbox_nix.work / "report.json").rename(report)

    commit(sandbox_nix, _HEAD)
    only_new += ["--base", "HEAD~1"]
    said = nix_repro(sandbox_nix, "check", "all", *only_new, "--check-base", cwd=directory)
    known = {"stale-2": "old", "same": "old", "lib": "new", "fresh": "new"}
    assert said.code == 1
    assert standings(said) == {**known, "broken": "unknown"}
    assert said.verdicts()["lib"] == "divergent new"
    assert said.verdicts()["app"] == "reproducible propagated new"
    assert "; 2 that the base has too; not known of 1 more" in said.out
    assert "broken, which stands there in its place, is build-failed" in said.out
    phases = {phase["name"]: phase["seconds"] for phase in said.report["phases"]}
    assert phases["base"] > 0

    # The base's own run knows it, too.
    of_ledger = nix_repro(sandbox_nix, "check", "all", *only_new, *ledger, cwd=directory)
    assert standings(of_ledger) == {**known, "broken": "unknown"}
    assert "2 observations in the ledger" in of_ledger.derivation("lib")["on_base"]["because"]
    of_report = nix_repro(sandbox_nix, "check", "all", *only_new, "--base-report", str(report), cwd=directory)
    assert standings(of_report) == {**known, "broken": "unknown"}

    # What cannot be the base's is not taken for it, and says so.
    other = sandbox_nix.work / "other.json"
    other.write_text(report.read_text().replace(SYSTEM, "aarch64-darwin"))
    of_other = nix_repro(sandbox_nix, "check", ".#same", "--base-report", str(other), *only_new[:4], cwd=directory)
    assert f"base report other.json: it is of aarch64-darwin, and this run of {SYSTEM}" in of_other.err
    assert standings(of_other) == {"same": "unknown"}

    # The ordinary ones alone: nothing is new, so nothing fails, and they are shown all the same.
    old = ("check", ".#stale", ".#same", *only_new, "--check-base", "--rebuilder", "replace")
    passed = nix_repro(sandbox_nix, *old, cwd=directory)
    assert (passed.code, standings(passed)) == (0, {"stale-2": "old", "same": "old"})
    assert passed.verdicts() == {"stale-2": "divergent", "same": "divergent"}
    assert "2 divergences that the base has too" in passed.out
    assert "stale-1, which stands there in its place, diverges (built twice now)" in passed.out
