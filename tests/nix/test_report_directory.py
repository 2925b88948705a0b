"""What a job leaves behind, on another machine: the report directory is explained without Nix, and finds the same."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from command import COMMAND, nix_repro, write_flake

if TYPE_CHECKING:
    from store import NixBox

PACKAGES = """
  stamp = mk "stamp" "mkdir $out; date > $out/date; date +%s | gzip -n > $out/date.gz;
    ln -s date $out/link; ln $out/date $out/again" {};
  token = mk "token" "cat ${uuid} > $out" {};
  uses-token = mk "uses-token" "{ cat ${token}; cat ${uuid}; } > $out" {};
  two = mk "two" "echo > $out; echo $out | sha256sum > $doc; cat ${uuid} >> $doc" { outputs = [ "out" "doc" ]; };
  same = mk "same" "echo > $out" {};
"""


def elsewhere(directory: Path, *args: str) -> dict[str, Any]:
    """`nix-repro explain DIR` outside of the box, where there is no such store, and with no program on PATH."""
    file = directory.parent / "again.json"
    done = subprocess.run(
        [*COMMAND, "explain", str(directory), "--report-json", str(file), *args],
        env={"PATH": "/nowhere", "HOME": str(directory.parent), "TMPDIR": str(directory.parent)},
        cwd=directory.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "stamp differs" in done.stdout
    return dict(json.loads(file.read_text()))


def test_a_report_directory_explains_itself(sandbox_nix: NixBox) -> None:
    flake = write_flake(sandbox_nix, PACKAGES)
    directory = sandbox_nix.work / "report"
    said = nix_repro(sandbox_nix, "check", ".#all", "--diffoscope", "never", "--report-dir", str(directory), cwd=flake)
    assert sorted(os.listdir(directory)) == ["junit.xml", "report.html", "report.json", "summary.md", "trees.tar.gz"]
    assert json.loads((directory / "report.json").read_text()) == said.report
    again = elsewhere(directory)
    found = {d["name"]: d["findings"] for d in said.derivations}
    assert {(f["path"], f["cause"]) for f in found["stamp"]} == {
        ("date", "timestamp"),
        ("again", "timestamp"),
        ("date.gz", "timestamp"),
    }
    assert {d["name"]: d["findings"] for d in again["derivations"]} == found
    assert not list(directory.parent.glob("nix-repro-*"))


@pytest.mark.series("2.8", "2.34")
def test_proofs_and_verdicts_travel(sandbox_nix: NixBox) -> None:
    flake = write_flake(sandbox_nix, PACKAGES + 'cores = mk "cores" "nproc > $out" {};')
    directory = sandbox_nix.work / "report"
    said = nix_repro(sandbox_nix, "explain", ".#stamp", ".#cores", "--report-dir", "../report", cwd=flake, timeout=300)
    assert {f["confidence"] for d in said.derivations for f in d["findings"]} == {"proved"}
    assert (directory / said.derivation("stamp")["outputs"]["out"]["diffoscope"]).stat().st_size > 1000
    assert os.listdir(directory / "diffoscope") == ["stamp-out.html"]
    assert elsewhere(directory)["derivations"] == said.derivations


def test_what_would_mean_nothing_without_a_build_is_an_error(sandbox_nix: NixBox) -> None:
    (sandbox_nix.work / "report.json").write_text("{}")
    said = sandbox_nix.run([*COMMAND, "explain", ".", "--rounds", "3", "--rebuilder", "shadow"], check=False)
    assert said.returncode == 2
    assert "--rounds, --rebuilder: nothing is built when a report directory is explained" in said.stderr
