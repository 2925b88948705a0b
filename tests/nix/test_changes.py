"""Real commits in a real repository: what each rebuilt, why, and of which class the change was."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from command import SYSTEM, Said, nix_repro

if TYPE_CHECKING:
    from store import NixBox

_MK = f"""mk = name: script: extra: derivation ({{
      inherit name; system = "{SYSTEM}"; builder = "/bin/sh"; args = [ "-c" script ]; PATH = "/usr/bin:/bin";
  }} // extra);"""
DEP = "{ outputs = { self }: { lib.text = builtins.readFile ./text; }; }\n"
FLAKE = f"""
{{ inputs.dep.url = "git+file://DEP";
  outputs = {{ self, dep }}: let
    {_MK}
    python = mk "python3-VERSION" "echo VERSION > $out" {{}};
  in {{ packages.{SYSTEM} = rec {{
    base = mk "base" "echo $text > $out" {{ inherit (dep.lib) text; }};
    app = mk "app" "cat $src/main $config ${{python}} ${{base}} > $out" {{ src = ./src; config = ./config.toml; }};
    default = app;
    whole = mk "whole" "echo $src > $out" {{ src = self; }};
    copied = mk "copied" "echo $src $config > $out" {{ src = ./.; config = ./config.toml; }};
    filtered = mk "filtered" "echo $srcs > $out" {{
      srcs = [ ./src (builtins.filterSource (path: _: baseNameOf path != "flake.lock") ./.) ];
    }};
  }}; }};
}}
"""


@dataclass
class Repository:
    """A flake under version control with one input, which is another such repository."""

    box: NixBox
    directory: Path
    dep: Path

    def git(self, *args: str, where: Path | None = None) -> str:
        identity = {
            f"GIT_{who}_{what}": "t@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
        }
        return self.box.run(["git", *args], cwd=where or self.directory, env=identity).stdout.strip()

    def commit(self, where: Path | None = None) -> None:
        self.git("add", "-A", where=where)
        self.git("commit", "-q", "-m", "change", where=where)

    def write(self, **files: str) -> None:
        for name, text in files.items():
            file = self.directory / name.replace("__", "/")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)

    def check(self, *args: str, base: str = "--base") -> Said:
        return nix_repro(self.box, "check", *args, base, "HEAD~1", "--scope", "closure", cwd=self.directory)


@pytest.fixture
def repository(sandbox_nix: NixBox) -> Repository:
    found = Repository(sandbox_nix, sandbox_nix.work / "repo", sandbox_nix.work / "dep")
    for directory in (found.directory, found.dep):
        directory.mkdir()
        found.git("init", "-q", "-b", "main", where=directory)
    (found.dep / "flake.nix").write_text(DEP)
    (found.dep / "text").write_text("one")
    found.commit(found.dep)
    found.write(
        **{"flake.nix": _flake(found, "3.11.4"), "src__main": "main", "config.toml": "a = 1\n", "README": "Hello\n"}
    )
    found.git("add", "-A")
    sandbox_nix.nix("flake", "lock", str(found.directory))
    found.commit()
    return found


def _flake(repository: Repository, version: str) -> str:
    return FLAKE.replace("DEP", str(repository.dep)).replace("VERSION", version)


def built(said: Said) -> dict[str, tuple[str, str | None, str | None]]:
    rows = said.report["caches"]["built"]
    return {
        Path(row["drv_path"]).name[33:].removesuffix(".drv"): (row["why"], row["root_change"], row["change_class"])
        for row in rows
    }


def change(said: Said) -> dict[str, Any]:
    assert said.code == 0, said.err
    return dict(said.report["caches"]["change"])


@pytest.mark.series("2.34")
def test_each_kind_of_commit(repository: Repository) -> None:
    box = repository.box
    before = box.nix("flake", "metadata", "--json", str(repository.directory)).stdout
    old = json.loads(before)["locks"]["nodes"]["dep"]["locked"]["rev"]
    everything = ("app", "whole")
    repository.check(*(f".#{name}" for name in everything), base="--since")

    # A lock bump: full, with both revisions.
    (repository.dep / "text").write_text("two")
    repository.commit(repository.dep)
    new = repository.git("rev-parse", "HEAD", where=repository.dep)
    box.nix("flake", "update", "--flake", str(repository.directory)) if box.version >= (2, 19) else box.nix(
        "flake", "update", str(repository.directory)
    )
    repository.commit()
    said = repository.check(".#app")
    found = change(said)
    assert found["change_class"] == "full"
    assert [(lock["input"], lock["old_rev"], lock["new_rev"], lock["derivations"]) for lock in found["lock"]] == [
        ("dep", old, new, 2)
    ]
    assert built(said)["app"] == ("changed", "text of base: one → two", "full")
    assert said.report["scenario"]["name"] == "first-time"

    # An interpreter bump.
    repository.write(**{"flake.nix": _flake(repository, "3.12.1")})
    repository.commit()
    said = repository.check(".#app")
    assert change(said)["change_class"] == "full"
    assert set(built(said)) == {"python3-3.12.1", "app"}
    assert built(said)["app"][1] == built(said)["python3-3.12.1"][1]

    # A source edit, seen down to the file.
    repository.write(src__main="other")
    repository.commit()
    said = repository.check(".#app")
    assert change(said)["change_class"] == "partial"
    assert built(said) == {"app": ("changed", built(said)["app"][1], "partial")}
    assert (built(said)["app"][1] or "").startswith("main in the source ")

    # Configuration.
    repository.write(**{"config.toml": "a = 2\n"})
    repository.commit()
    said = repository.check(".#app")
    assert change(said)["change_class"] == "partial"
    assert (built(said)["app"][1] or "").startswith("config.toml in the source config.toml of app")

    # README and workflow edits rebuild nothing where sources are named, and are found where they are not.
    for file, text in (("README", "Bye\n"), (".github__workflows__ci.yml", "on: push\n")):
        repository.write(**{file: text})
        repository.commit()
        said = repository.check(".#app", ".#whole", ".#copied", ".#filtered")
        assert change(said)["change_class"] == "none"
        name = file.replace("__", "/")
        for package in ("whole", "copied", "filtered"):
            assert built(said)[package] == ("changed", f"{name} in the source of {package}", "none")
        (finding,) = [text for text in said.report["warnings"] if "lib.fileset" in text]
        rebuilt = finding.removeprefix(f"{name} changed, which should rebuild nothing, and rebuilt ").partition(": ")[0]
        assert sorted(rebuilt.split(", ")) == ["copied", "filtered", "whole"]
    assert said.report["caches"]["hit_rate"] == 1.0
    assert "class none" in said.out


def test_since_checks_only_what_differs(repository: Repository) -> None:
    repository.write(README="Bye\n")
    repository.commit()
    said = repository.check(".#app", base="--since")
    assert said.code == 0, said.err
    assert {d["reason"] for d in said.derivations} == {"unchanged since the revision that was named"}
    assert said.report["caches"]["layers"] == []
    repository.write(src__main="other")
    repository.commit()
    said = repository.check(".#app", base="--since")
    assert said.code == 0, said.err
    assert {d["name"]: d["verdict"] for d in said.derivations if d["verdict"] != "unverified"} == {
        "app": "reproducible"
    }


def test_new_packages_and_other_ways_to_fetch_the_same(repository: Repository) -> None:
    """A new package is made of what the base's other packages are made of; what lies above a fixed output is what it
    was."""
    fetched = (
        'fetched = mk "fetched" "cat $curl > /dev/null; echo hello > $out" { curl = mk "curl-1" "echo > $out" {}; '
        'outputHashAlgo = "sha256"; outputHashMode = "flat"; outputHash = '
        f'"{hashlib.sha256(b"hello" + bytes([10])).hexdigest()}"; }};'
    )
    flake = _flake(repository, "3.11.4").replace(
        "default = app;", 'default = app; unpacked = mk "unpacked" "cat ${fetched} > $out" {};'
    )
    flake = flake.replace("in {", f"{fetched} in {{", 1)
    repository.write(**{"flake.nix": flake})
    repository.commit()
    flake = flake.replace("curl-1", "curl-2").replace(
        "default = app;", 'default = app; other = mk "other" "cat ${base} > $out" {};'
    )
    repository.write(**{"flake.nix": flake})
    repository.commit()
    said = repository.check(".#other")
    assert (change(said)["change_class"], change(said)["derivations"]) == ("partial", 1)
    assert built(said)["other"] == ("new", None, None)
    assert built(said)["base"][0] == "cache miss"
    assert said.report["caches"]["hit_rate"] == 0.0
    said = repository.check(".#unpacked")
    assert change(said)["derivations"] == 1
    assert {name: row[0] for name, row in built(said).items()} == {
        "curl-2": "changed",
        "fetched": "cache miss",
        "unpacked": "cache miss",
    }

    # A base that cannot be evaluated says nothing: neither that everything is new, nor of which class the change is.
    repository.write(**{"flake.nix": flake.replace("base = mk", 'base = throw "no base"; rest = mk')})
    repository.commit()
    repository.write(**{"flake.nix": flake})
    repository.commit()
    said = repository.check(".#app")
    assert said.report["caches"]["change"] is None
    assert {row[0] for row in built(said).values()} == {"unknown"}
    (warning,) = said.report["warnings"]
    assert warning == "base HEAD~1: .#app cannot be evaluated there, and is not compared: no base"


def test_a_base_that_is_not_there_is_one_warning(repository: Repository) -> None:
    said = repository.check(".#app")
    assert said.code == 0, said.err
    assert [w for w in said.report["warnings"] if "HEAD~1" in w and "fetch-depth: 0" in w] == said.report["warnings"]
    assert said.report["caches"]["change"] is None


def test_a_report_as_base(repository: Repository) -> None:
    said = nix_repro(repository.box, "check", ".#app", "--scope", "closure", cwd=repository.directory)
    assert said.code == 0, said.err
    file = repository.box.work / "base.json"
    file.write_text(json.dumps(said.report))
    repository.write(src__main="other")
    said = nix_repro(
        repository.box, "check", ".#app", "--scope", "closure", "--base-report", str(file), cwd=repository.directory
    )
    assert said.code == 0, said.err
    assert (built(said)["app"][1] or "").startswith("main in the source ")
    assert said.report["caches"]["hit_rate"] == 1.0
