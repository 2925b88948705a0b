"""Runs that are not alone on a store, and what goes wrong while it holds the rebuild."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

import pytest

from command import COMMAND, take_home, write_flake

if TYPE_CHECKING:
    from pathlib import Path

    from store import NixBox

PACKAGES = " ".join(
    f'p{n} = mk "p{n}" "sleep 0.8; cat ${{uuid}} > $out; echo > $doc" {{ outputs = [ "out" "doc" ]; }};'
    for n in range(6)
)
STORE = "local?root=/nix/other"
WAITING = "waiting for another run of nix-repro"


@pytest.mark.series("2.8", "2.34")
@pytest.mark.parametrize(
    ("one", "other", "waits"),
    [
        ("replace", "replace", True),
        ("nix-check", "nix-check", True),
        ("replace", "shadow", True),
        ("shadow", "shadow", False),
        (STORE, STORE, True),
    ],
)
def test_two_runs_that_change_the_store_wait_for_each_other(
    sandbox_nix: NixBox, one: str, other: str, waits: bool
) -> None:
    """Two `nix-store --check` at once deadlock with 2.8."""
    flake = write_flake(sandbox_nix, PACKAGES)
    runs = [
        sandbox_nix.popen(
            [*COMMAND, "check", ".#all", "--rebuilder", rebuilder, "--report-json", f"{n}.json", "--jobs", "2"],
            cwd=flake,
        )
        for n, rebuilder in enumerate((one, other))
    ]
    told = [run.communicate(timeout=120) for run in runs]
    for n, run in enumerate(runs):
        assert run.returncode == 1, told[n]
        report = json.loads((flake / f"{n}.json").read_text())
        assert [d["outputs"]["out"]["verdict"] for d in report["derivations"]] == ["divergent"] * 6, told[n]
        assert not any("in use" in warning for warning in report["warnings"])
    assert any(WAITING in err for _, err in told) == waits, told


@pytest.mark.series("2.26")
def test_who_waits_can_be_stopped(sandbox_nix: NixBox) -> None:
    flake = write_flake(sandbox_nix, 'long = mk "long" "sleep 6; echo > $out" {};')
    check = [*COMMAND, "check", ".#long", "--rebuilder", "replace"]
    with sandbox_nix.popen(check, cwd=flake) as first:
        assert first.stderr is not None
        assert any("building" in line for line in first.stderr)
        with sandbox_nix.popen(check, cwd=flake) as second:
            assert second.stderr is not None
            assert any(WAITING in line for line in second.stderr)
            second.terminate()
            assert second.wait(timeout=30) == 143
        assert first.wait(timeout=60) == 0, "and the other one is not disturbed"


SMALL = 'mount -t tmpfs -o size=3m,mode=1777 small $TMPDIR; exec "$@"'


@pytest.mark.parametrize("trusted", [True, False], ids=["trusted", "untrusted"])
def test_a_full_tmpdir_costs_neither_the_store_nor_the_verdict(sandbox_nix: NixBox, trusted: bool) -> None:
    """What cannot be set aside is not deleted, and is checked in another way."""
    sandbox_nix.conf(trusted_users="*" if trusted else "root")
    packages = (
        'large = mk "large" "head -c 8000000 /dev/urandom > $out" {}; chance = mk "chance" "cat ${uuid} > $out" {};'
    )
    flake = take_home(sandbox_nix, write_flake(sandbox_nix, packages))
    with sandbox_nix.daemon():
        drvs = [
            sandbox_nix.nix("eval", "--raw", f"path:{flake}#{name}.drvPath", user=True).stdout
            for name in ("large", "chance")
        ]
        paths = sandbox_nix.run(["nix-store", "--realise", *drvs], user=True).stdout.split()
        before = hashes(sandbox_nix, paths)
        done = check_on_a_small_disk(sandbox_nix, flake)
        assert done.returncode == 1, done.stdout + done.stderr
        report = json.loads((flake / "report.json").read_text())
        assert {d["name"]: d["verdict"] for d in report["derivations"]} == dict.fromkeys(
            ("large", "chance"), "divergent"
        ), done.stderr
        assert hashes(sandbox_nix, paths) == before


def check_on_a_small_disk(box: NixBox, flake: Path) -> subprocess.CompletedProcess[str]:
    """The small disk is for the run alone, mounted inside its namespace and before it becomes the user."""
    argv = box.argv([*COMMAND, "check", ".#all", "--rebuilder", "replace", "--report-json", "report.json"], user=True)
    position = argv.index("setpriv")
    argv[position:position] = ["sh", "-c", SMALL, "x"]
    return subprocess.run(
        argv, env=box.environment(user=True), cwd=flake, capture_output=True, text=True, timeout=120, check=False
    )


def hashes(box: NixBox, paths: list[str]) -> list[str]:
    return box.run(["nix-store", "--query", "--hash", *paths]).stdout.split("sha256:")[1:]
