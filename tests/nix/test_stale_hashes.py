"""A source of which the URL was changed and the hash forgotten: what the store still has hides it."""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING

import pytest

from command import SYSTEM, Said, nix_repro, write_flake

if TYPE_CHECKING:
    from pathlib import Path

    from store import NixBox


class Repository:
    """A flake with a package of each of several sources, which are files. What a commit says of a source is its file;
    its hash is always that of the first one."""

    def __init__(self, box: NixBox) -> None:
        self.box = box
        self.files = box.work / "files"
        self.files.mkdir()
        for name, text in (("one", "one"), ("again", "one"), ("two", "two")):
            (self.files / name).write_text(text)
        digest = base64.b64encode(hashlib.sha256(b"one").digest()).decode()
        self.hash = f"sha256-{digest}"

    def commit(self, **files: str) -> Path:
        packages = "".join(
            f"""
            {name} = mk "{name}" "cat ${{{name}-source}} > $out" {{}};
            {name}-source = derivation {{
              name = "{name}-source"; system = "{SYSTEM}"; builder = "builtin:fetchurl"; preferLocalBuild = true;
              url = "file://{self.files}/{file}"; executable = false; unpack = false;
              outputHashMode = "flat"; outputHashAlgo = "sha256";
              outputHash = "{self.hash}";
            }};"""
            for name, file in files.items()
        )
        flake = write_flake(self.box, packages)
        who = {f"GIT_{who}_{what}": "t@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
        for args in (["init", "-q", "-b", "main"], ["add", "-A"], ["commit", "-q", "-m", "change"]):
            self.box.run(["git", *args], cwd=flake, env=who)
        return flake

    def check(self, flake: Path, *args: str) -> Said:
        packages = (".#changed", ".#moved", ".#gone", ".#same")
        return nix_repro(self.box, "check", *packages, "--upstream-caches", "none", *args, cwd=flake)


@pytest.mark.series("2.8", "2.34")
def test_a_hash_that_was_forgotten(sandbox_nix: NixBox) -> None:
    sandbox_nix.conf(sandbox=False)
    repository = Repository(sandbox_nix)
    flake = repository.commit(changed="one", moved="one", gone="one", same="one")
    assert repository.check(flake).code == 0
    repository.commit(changed="two", moved="again", gone="nowhere", same="one")
    assert repository.check(flake).code == 0, "without a base, nobody knows of a change"

    said = repository.check(flake, "--base", "HEAD~1")
    assert said.code == 4
    assert said.verdicts() | {"changed-source": "rebuild-failed"} == said.verdicts()
    assert [d["name"] for d in said.derivations if d["findings"]] == ["changed-source"]
    (finding,) = said.derivation("changed-source")["findings"]
    assert (finding["cause"], finding["a"]) == ("stale-hash", repository.hash)
    lines = (flake / "flake.nix").read_text().splitlines()
    line = next(number for number, text in enumerate(lines, 1) if repository.hash in text)
    assert f"flake.nix:{line} becomes" in finding["fix"]
    assert finding["snippet"] == f'outputHash = "{finding["b"]}";'
    assert "1 stale hash" in said.out
    assert "gone-source could not be fetched again" in said.err
    assert {phase["name"] for phase in said.report["phases"]} >= {"refetch"}

    # The base is not needed where everything of one's own is looked at.
    checked = repository.check(flake, "--fixed-output", "check")
    assert [d["name"] for d in checked.derivations if d["findings"]] == ["changed-source"]
    assert checked.code == 4
