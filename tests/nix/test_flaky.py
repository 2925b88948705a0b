"""A rebuild that fails is tried again: what fails now and then is told from what always fails, and what differs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from command import nix_repro, write_flake

if TYPE_CHECKING:
    from command import Said
    from store import NixBox


class Packages:
    """A flake whose packages count their builds."""

    def __init__(self, box: NixBox, where: str = "flake") -> None:
        box.conf(sandbox=False)
        self.box, self.where = box, where
        self.counts = box.work / f"counts-{where}"
        self.counts.mkdir()
        self.counts.chmod(0o777)
        self.sources: dict[str, str] = {}

    def add(self, name: str, fails: str, script: str = "echo x") -> None:
        """One that fails in those of its builds, and else makes what the script prints."""
        count = self.counts / name
        count.touch()
        # Each build may be another user's.
        count.chmod(0o666)
        ends = f"case $(wc -l < {count}) in {fails}) exit 3;; *) {script};; esac"
        self.sources[name] = f'mk "{name}" "echo >> {count}; {ends} > $out" {{}}'

    def check(self, *args: str) -> Said:
        flake = write_flake(self.box, "\n".join(f"{name} = {text};" for name, text in self.sources.items()), self.where)
        return nix_repro(self.box, "check", *args, "--upstream-caches", "none", cwd=flake)


def statuses(said: Said, name: str) -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    for build in said.derivation(name)["builds"]:
        found.setdefault(build["round"], []).append(build["status"])
    return found


@pytest.mark.series("2.8", "2.34")
@pytest.mark.parametrize("rebuilder", ["shadow", "replace", "nix-check"])
def test_a_rebuild_that_fails_now_and_then(sandbox_nix: NixBox, rebuilder: str) -> None:
    packages = Packages(sandbox_nix)
    packages.add("now", fails="2")
    packages.add("always", fails="[23456789]")
    packages.add("both", fails="2", script="cat ${uuid}")
    packages.sources["above"] = 'mk "above" "cat ${now} > $out" {}'
    packages.sources["fine"] = 'mk "fine" "echo fine > $out" {}'
    said = packages.check("all", "--rebuilder", rebuilder)
    assert said.code == 1
    assert said.verdicts() == {
        "now": "rebuild-failed intermittent",
        "above": "reproducible",
        "always": "rebuild-failed",
        "both": "divergent",
        "fine": "reproducible",
    }
    # Where something was varied, it is built without that, and once more with it: it was not what it failed of.
    more = ["built"] if rebuilder == "shadow" else []
    assert statuses(said, "now") == {1: ["built"], 2: ["failed", "built", *more]}
    assert "now does not build with" not in said.err
    assert statuses(said, "always") == {1: ["built"], 2: ["failed", "failed"]}
    assert statuses(said, "fine") == {1: ["built"], 2: ["built"]}
    assert f"intermittent: 1 of {3 + len(more)} builds failed" in said.out


@pytest.mark.series("2.8", "2.34")
def test_a_first_build_that_fails_is_tried_again_where_somebody_says_so(sandbox_nix: NixBox) -> None:
    packages = Packages(sandbox_nix)
    packages.add("early", fails="1")
    packages.add("never", fails="*")
    packages.sources["above"] = 'mk "above" "cat ${early} > $out" {}'
    said = packages.check(".#early", ".#above", ".#never", "--retries", "2")
    assert said.verdicts() == {
        "early": "rebuild-failed intermittent",
        "above": "reproducible",
        "never": "build-failed",
    }
    assert statuses(said, "early") == {1: ["failed", "built"], 2: ["built"]}
    assert statuses(said, "never") == {1: ["failed"] * 3}
    assert said.code == 4
    packages = Packages(sandbox_nix, "once")
    packages.add("early", fails="1")
    assert packages.check(".#early").verdicts() == {"early": "build-failed"}
