"""What an experiment's means do by themselves proves nothing: each has a placebo, or leaves no trace but its effect."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from command import nix_repro, write_flake

if TYPE_CHECKING:
    from store import NixBox

#: What shows traces: of the fake clock its variable and its files, of the zone its file, of another kernel the
#: personality, of memory the kind of file system. The size of the environment shows any variable.
TRACES = """
  environment-size = mk "environment-size" "env | wc -c > $out" {};
  variables = mk "variables" "env | cut -d= -f1 | sort > $out" {};
  libraries = mk "libraries" "cut -c74- /proc/self/maps | grep lib | sort -u > $out" {};
  files = mk "files" "ls /etc > $out" {};
  personality = mk "personality" "cat /proc/self/personality > $out" {};
  system = mk "system" "stat -f -c %T . > $out" {};
  year = mk "year" "date +%Y > $out" {};
"""

#: A time at a file's beginning and an identity that is drawn at random further on; and a certificate that expires.
OTHERS = """
  beside = mk "beside" "mkdir $out; { echo MOD1; date +%s; seq 1 400; tr -d - < ${uuid}; seq 1 400; } > $out/mod" {};
  bomb = mk "bomb" "test $(date +%s) -lt EXPIRES || { echo it has expired; exit 1; }; echo ok > $out" {};
"""


# One series is enough: test_experiments.py has each experiment on others too.
@pytest.mark.series("2.34")
def test_traces_of_the_means_are_no_proof(sandbox_nix: NixBox) -> None:
    flake = write_flake(sandbox_nix, TRACES)
    said = nix_repro(sandbox_nix, "explain", ".#all", cwd=flake, timeout=600)
    found = {d["name"]: [(f["cause"], f["confidence"]) for f in d["findings"]] for d in said.derivations}
    assert found == {
        "environment-size": [],
        "variables": [],
        "libraries": [],
        "files": [],
        "personality": [],
        "system": [("ordering", "low")],
        "year": [("timestamp", "proved")],
    }, said.err
    assert set(said.verdicts().values()) == {"reproducible"}
    assert said.code == 0


@pytest.mark.series("2.34")
def test_what_fails_with_the_clock_ahead_is_said_and_a_second_cause_is_no_timestamp(sandbox_nix: NixBox) -> None:
    flake = write_flake(sandbox_nix, OTHERS.replace("EXPIRES", str(int(time.time()) + 100 * 86400)))
    said = nix_repro(sandbox_nix, "explain", ".#beside", ".#bomb", cwd=flake, timeout=300)
    words = "bomb fails to build with the clock 400 days ahead (3 of 3 rebuilds): it has expired"
    assert words in said.report["warnings"], said.err
    assert said.verdicts() == {"beside": "divergent", "bomb": "reproducible"}
    found = [(f["cause"], f["confidence"]) for f in said.derivation("beside")["findings"]]
    assert found == [("timestamp", "high"), ("randomness", "low")]


@pytest.mark.series("2.26")
def test_where_nix_builds_in_memory_a_disk_is_the_other_kind_of_place(sandbox_nix: NixBox) -> None:
    """As with /tmp in memory, and a Nix that builds there."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as memory:
        Path(memory).chmod(0o1777)
        flake = write_flake(
            sandbox_nix, 'order = mk "order" "mkdir d; for i in $(seq 20); do echo > d/$i; done; ls -U d > $out" {};'
        )
        said = nix_repro(sandbox_nix, "explain", ".#order", cwd=flake, env={"TMPDIR": memory}, timeout=300)
    (finding,) = said.derivation("order")["findings"]
    assert (finding["cause"], finding["confidence"]) == ("ordering", "proved"), said.err
