"""The project's own flake, on a stand-in for nixpkgs (fixtures/nixpkgs): it evaluates for every system, `nix run` runs
nix-repro from the store, and its parts fit into other flakes."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest

from command import SYSTEM
from store import REPOSITORY

if TYPE_CHECKING:
    from subprocess import CompletedProcess

    from store import NixBox

USER = """
{
  inputs.nix-repro.url = "path:PROJECT";
  outputs = { self, nix-repro }: {
    apps.SYSTEM.repro = nix-repro.lib.app { system = "SYSTEM"; arguments = [ ".#a" "--fail-when" ".exit_code == 1" ]; };
    parts = let
      lib = { mkOption = option: option; types = { str = "str"; listOf = type: [ type ]; }; };
      module = nix-repro.flakeModules.default { inherit lib; flake-parts-lib.mkPerSystemOption = module: module; };
    in module.options.perSystem { system = "SYSTEM"; config.nix-repro.arguments = [ "it's" "--rounds" "3" ]; };
    packages.SYSTEM.a = derivation { name = "a"; system = "SYSTEM"; builder = "/bin/sh"; args = [ "-c" ": > $out" ]; };
  };
}
"""


@pytest.fixture
def project(sandbox_nix: NixBox) -> Path:
    """A copy of what a fetched flake is, whose package this Python can run."""
    directory = sandbox_nix.work / "project"
    for name in ("flake.nix", "nix", "share", "src", "fixtures", "pyproject.toml", "README.md", "LICENSE"):
        place = directory / name
        place.parent.mkdir(exist_ok=True)
        ignored = shutil.ignore_patterns("__pycache__")
        source = REPOSITORY / name
        shutil.copytree(source, place, ignore=ignored) if source.is_dir() else shutil.copy(source, place)
    interpreter = os.path.realpath(getattr(sys, "_base_executable", sys.executable))
    packages = Path(click.__file__).parents[1]
    python = f'{{ interpreter = "{interpreter}"; packages = "{packages}"; }}'
    (directory / "fixtures/nixpkgs/python.nix").write_text(python)
    return directory


def nix(box: NixBox, command: str, what: str, *arguments: str) -> CompletedProcess[str]:
    """A command of Nix on the project, which has no lock file: what it is built with is its user's choice."""
    stand_in = ["--no-write-lock-file", "--override-input", "nixpkgs", f"path:{box.work}/project/fixtures/nixpkgs"]
    return box.run(["nix", *command.split(), what, *stand_in, *arguments], check=False)


@pytest.mark.series("2.26", "2.34")
def test_it_is_whole_and_its_parts_fit_into_other_flakes(sandbox_nix: NixBox, project: Path) -> None:
    here = f"path:{project}"
    checked = nix(sandbox_nix, "flake check", here, "--all-systems")
    assert checked.returncode == 0, checked.stderr
    assert "warning: unknown flake output" not in checked.stderr
    for attr in ("packages", "apps", "devShells"):
        systems = json.loads(
            nix(sandbox_nix, "eval", f"{here}#{attr}", "--json", "--apply", "builtins.attrNames").stdout
        )
        assert len(systems) == 4, "Linux and macOS, on both machines"
    shell = nix(sandbox_nix, "eval", f"{here}#devShells.aarch64-darwin.default.drvPath")
    assert shell.returncode == 0, shell.stderr

    flake = sandbox_nix.work / "user"
    flake.mkdir()
    (flake / "flake.nix").write_text(USER.replace("SYSTEM", SYSTEM).replace("PROJECT", str(project)))
    stand_in = f"path:{project}/fixtures/nixpkgs"
    sandbox_nix.nix("flake", "lock", f"path:{flake}", "--override-input", "nix-repro/nixpkgs", stand_in)
    program = sandbox_nix.nix("eval", f"path:{flake}#parts.config.apps.repro.program", "--raw").stdout
    assert program.endswith("-repro/bin/repro")
    sandbox_nix.run(
        ["nix", "run", ".#repro", "--", "--report-json", "report.json", "--rounds", "3"], cwd=flake, timeout=60
    )
    report = json.loads((flake / "report.json").read_text())
    assert [len(d["builds"]) for d in report["derivations"]] == [3], "arguments of the flake, then those of its user"
    assert (report["rebuilder"], report["policies"]) == ("shadow", [{"expression": ".exit_code == 1", "failed": False}])


@pytest.mark.series("2.8")
def test_a_change_of_tests_or_documents_builds_nothing_new(sandbox_nix: NixBox, project: Path) -> None:
    def package() -> str:
        return nix(sandbox_nix, "eval", f"path:{project}#packages.{SYSTEM}.default.drvPath", "--raw").stdout

    before = package()
    (project / "README.md").write_text("more\n")
    (project / "fixtures/hostile-words.json").write_text("[]")
    assert package() == before != ""
    (project / "share/man/man1/nix-repro.1").write_text("less\n")
    assert package() != before
