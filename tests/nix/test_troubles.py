"""What goes wrong around a run: bad input, full disks, signals, company, hostile names.

One clear message, the right exit code, nothing left.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from command import COMMAND, SYSTEM, nix_repro, write_flake

if TYPE_CHECKING:
    from store import NixBox

#: The oldest and the newest Nix: what is between them is in test_verdicts.py.
pytestmark = pytest.mark.series("2.8", "2.34")

#: A builder that sleeps, told apart from those of tests that run beside this one.
NAP = f"sleep {100_000 + os.getpid()}"


def test_bad_input(sandbox_nix: NixBox) -> None:
    flake = write_flake(sandbox_nix, 'same = mk "same" "echo > $out" {}; throws = throw "the flake is wrong";')
    empty = sandbox_nix.work / "empty"
    empty.mkdir()
    (flake / "bad.yml").write_text("scope: own\nrounds: many\n")
    foreign = write_flake(
        sandbox_nix, 'odd = derivation { name = "odd"; system = "other-linux"; builder = "x"; };', "foreign"
    )
    cases = (
        (flake, (".#nope",), ".#nope: flake", "does not provide attribute"),
        (flake, (".#throws",), ".#throws: evaluation failed", "the flake is wrong"),
        (flake, ("/nix/store/none.drv",), "/nix/store/none.drv:", "no such derivation"),
        (flake, (".#same", "--rounds", "1"), "--rounds:", "from 2 to 20"),
        (flake, (".#same", "--config", "bad.yml"), "bad.yml:2: rounds:", "'many'"),
        (flake, (".#same", "--rebuilder", "magic"), "--rebuilder:", "nix-check"),
        (empty, (".",), ".:", "flake.nix"),
        (foreign, (".#odd",), f"packages.{SYSTEM}.odd: it is for other-linux", SYSTEM),
    )
    for cwd, args, *wanted in cases:
        said = nix_repro(sandbox_nix, "check", *args, cwd=cwd)
        assert said.code == 2, args
        assert said.report == {}
        message = said.err.replace("nix-repro: evaluating\n", "")
        assert message.startswith("nix-repro: "), message
        for part in wanted:
            assert part in message


def test_git_checkouts_that_nix_cannot_see(sandbox_nix: NixBox) -> None:
    flake = write_flake(sandbox_nix, 'same = mk "same" "echo > $out" {};')
    git = ["git", "-c", "user.name=x", "-c", "user.email=x@example.org"]
    sandbox_nix.run([*git, "init", "-q", "."], cwd=flake)
    said = nix_repro(sandbox_nix, "check", ".#same", cwd=flake)
    assert said.code == 2
    assert "git add flake.nix" in said.err
    sandbox_nix.run([*git, "add", "."], cwd=flake)
    assert nix_repro(sandbox_nix, "check", ".#same", cwd=flake).code == 0
    assert not (flake / "flake.lock").exists()
    sandbox_nix.run(["chown", "-R", "1234", str(flake)])
    said = nix_repro(sandbox_nix, "check", ".#same", cwd=flake)
    assert said.code == 2
    assert "safe.directory" in said.err


def test_full_disk(sandbox_nix: NixBox) -> None:
    large = 'large = mk "large" "dd if=/dev/zero of=$out bs=1M count=64 2>&1" {};'
    flake = write_flake(sandbox_nix, large + 'same = mk "same" "echo > $out" {};')
    script = 'mount -t tmpfs -o size=24m disk /nix/store; chgrp nixbld /nix/store; chmod 1775 /nix/store; exec "$@"'
    check = [*COMMAND, "check", ".#large", ".#same", "--report-json", "report.json"]
    done = sandbox_nix.run(["sh", "-c", script, "x", *check], check=False, cwd=flake)
    report = json.loads((flake / "report.json").read_text())
    verdicts = {d["name"]: (d["verdict"], d["reason"]) for d in report["derivations"]}
    assert verdicts["large"] == ("unverified", "disk full")
    assert done.returncode == 5, done.stderr


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("when", ["build", "shadow", "replace"])
def test_a_signal_leaves_a_report_and_nothing_else(sandbox_nix: NixBox, signum: signal.Signals, when: str) -> None:
    marks = sandbox_nix.directory / "tmp" / "marks"
    marks.mkdir()
    marks.chmod(0o777)
    sandbox_nix.conf(sandbox_paths=sandbox_nix.settings["sandbox-paths"] + f" {marks}")
    nap = NAP if when == "build" else f"test -e {marks}/first && {NAP}; : > {marks}/first"
    flake = write_flake(
        sandbox_nix, f'same = mk "same" "echo > $out" {{}}; naps = mk "naps" "cat ${{same}}; {nap}; echo > $out" {{}};'
    )
    rebuilder = "shadow" if when == "build" else when
    run = sandbox_nix.popen(
        [*COMMAND, "check", ".#naps", "--rebuilder", rebuilder, "--report-json", "report.json"], cwd=flake
    )
    wait_for(sleeping, run)
    # As a terminal does: the whole foreground group hears it.
    os.kill(run.pid, signum)
    out, err = run.communicate(timeout=60)
    assert run.returncode == 128 + signum, out + err
    report = json.loads((flake / "report.json").read_text())
    verdicts = {d["name"]: (d["verdict"], d["reason"]) for d in report["derivations"]}
    assert verdicts["naps"] == ("unverified", "cancelled")
    assert report["exit_code"] == 128 + signum
    assert not sleeping()
    assert not list((sandbox_nix.directory / "nix/var/nix-repro").glob("*"))
    assert not list((sandbox_nix.directory / "tmp").glob("nix-repro-*"))
    if when == "replace":
        path = next(d for d in report["derivations"] if d["name"] == "same")["outputs"]["out"]["path"]
        assert sandbox_nix.run(["nix-store", "--query", "--hash", path]).returncode == 0


def test_killed_outright_leaves_no_builder(sandbox_nix: NixBox) -> None:
    marks = sandbox_nix.directory / "tmp" / "marks"
    marks.mkdir()
    marks.chmod(0o777)
    sandbox_nix.conf(sandbox_paths=sandbox_nix.settings["sandbox-paths"] + f" {marks}")
    flake = write_flake(
        sandbox_nix, f'naps = mk "naps" "test -e {marks}/first && {NAP}; : > {marks}/first; echo > $out" {{}};'
    )
    run = sandbox_nix.popen([*COMMAND, "check", ".#naps", "--rebuilder", "shadow"], cwd=flake)
    wait_for(sleeping, run)
    run.kill()
    run.communicate(timeout=60)
    wait_for(lambda: not sleeping(), None)
    wait_for(lambda: not list((sandbox_nix.directory / "nix/var/nix-repro").glob("*")), None)


def test_two_runs_at_once_on_one_store(sandbox_nix: NixBox) -> None:
    package = 'pN = mk "pN" "sleep 0.3; cat ${uuid} > $out; echo > $doc" { outputs = [ "out" "doc" ]; };'
    flake = write_flake(sandbox_nix, " ".join(package.replace("N", str(n)) for n in range(6)))
    runs = [
        sandbox_nix.popen([*COMMAND, "check", ".#all", "--report-json", f"{n}.json", "--jobs", "2"], cwd=flake)
        for n in (1, 2)
    ]
    for run in runs:
        out, err = run.communicate(timeout=120)
        assert run.returncode == 1, out + err
    for n in (1, 2):
        report = json.loads((flake / f"{n}.json").read_text())
        assert len(report["derivations"]) == 6
        for derivation in report["derivations"]:
            assert {o: v["verdict"] for o, v in derivation["outputs"].items()} == {
                "out": "divergent",
                "doc": "reproducible",
            }


@pytest.mark.parametrize("rebuilder", ["shadow", "replace", "nix-check", "local?root=/nix/other"])
def test_hostile_names(sandbox_nix: NixBox, rebuilder: str) -> None:
    names = r"""'new\nline' '\377\376' '\033[31m' '<b>&' '$(id)' '-rf'"""
    script = f"""mkdir $out; cd $out; for n in {names}; do cat ${{uuid}} > "./$(printf -- "$n")"; done"""
    flake = write_flake(sandbox_nix, f"names = mk \"names\" ''{script}'' {{}};")
    keep = sandbox_nix.work / "kept"
    said = nix_repro(sandbox_nix, "check", ".#names", "--rebuilder", rebuilder, "--keep", str(keep), cwd=flake)
    assert said.verdicts() == {"names": "divergent"}
    assert len(os.listdir(os.fsencode(keep / "names/out/a"))) == 6
    assert sorted(os.listdir(os.fsencode(keep / "names/out/a"))) == sorted(
        os.listdir(os.fsencode(keep / "names/out/b"))
    )
    assert "\x1b[31m" not in said.out


def test_no_nix(sandbox_nix: NixBox) -> None:
    done = sandbox_nix.run(["env", "PATH=/usr/sbin:/sbin", *COMMAND, "check"], check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("nix-repro: Nix was not found")
    assert "apt-get install nix-bin" in done.stderr


def sleeping() -> bool:
    """Is a builder of these tests asleep anywhere on the machine?"""
    return subprocess.run(["pgrep", "-f", f"^{NAP}"], capture_output=True, check=False).returncode == 0


def wait_for(condition: object, run: subprocess.Popen[str] | None) -> None:
    """Wait until it is so; fail with what was said when the run ends before."""
    assert callable(condition)
    for _ in range(1200):
        if condition():
            return
        if run is not None and run.poll() is not None:
            raise AssertionError(run.communicate())
        time.sleep(0.05)
    raise AssertionError("waited for a minute")


def test_the_verdict_does_not_depend_on_who_reads_the_report(sandbox_nix: NixBox) -> None:
    flake = write_flake(sandbox_nix, 'same = mk "same" "echo > $out" {};')
    script = '"$@" | true; echo ${PIPESTATUS[0]}'
    done = sandbox_nix.run(["bash", "-c", script, "x", *COMMAND, "check", ".#same"], cwd=flake)
    assert done.stdout == "0\n", done.stderr
    assert "Traceback" not in done.stderr
