"""The doctor on real machines, Nixes and checkouts, well and ill."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from binary_cache import BinaryCache, serve
from command import COMMAND, nix_repro, write_flake

if TYPE_CHECKING:
    from store import NixBox

PACKAGES = 'default = mk "app" "head -c 5000 /dev/zero > $out" {};'


def doctor(box: NixBox, cwd: Path, **env: str) -> tuple[int, dict[str, dict[str, str]]]:
    done = box.run([*COMMAND, "doctor", "--json"], check=False, cwd=cwd, env=env)
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, {row["check"]: row for row in json.loads(done.stdout)["findings"]}


def states(found: dict[str, dict[str, str]], state: str) -> set[str]:
    return {check for check, row in found.items() if row["state"] == state}


def git(box: NixBox, cwd: Path, *args: str) -> None:
    identity = {f"GIT_{who}_{what}": "t@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    box.run(["git", *args], cwd=cwd, env=identity)


def test_a_healthy_machine(sandbox_nix: NixBox) -> None:
    flake = write_flake(sandbox_nix, PACKAGES)
    cache = BinaryCache(sandbox_nix.work / "cache", "")
    cache.directory.mkdir()
    (cache.directory / "nix-cache-info").write_text("StoreDir: /nix/store\n")
    git(sandbox_nix, flake, "init", "-q")
    git(sandbox_nix, flake, "add", "-A")
    git(sandbox_nix, flake, "commit", "-q", "-m", "x")
    sandbox_nix.nix("build", "--out-link", str(sandbox_nix.work / "result"), f"{flake}#default")
    before = sorted(os.walk(sandbox_nix.store_dir))
    with serve(cache):
        sandbox_nix.conf(substituters=cache.url, max_jobs="auto")
        code, found = doctor(sandbox_nix, flake)
    assert not states(found, "problem"), found
    assert code == 0
    assert found[f"substituter {cache.url.removeprefix('http://')}"]["state"] == "ok"
    assert found["flake.lock"]["found"] == "none, and the flake has no inputs"
    assert found["closure app"]["found"] == "5.1 kB"
    assert found["store size"]["state"] == "ok"
    assert all(row["fix"] for row in found.values() if row["state"] != "ok")
    # It only looks: beside the derivations of the evaluation nothing is in the store that was not there.
    assert [name for name, *_ in sorted(os.walk(sandbox_nix.store_dir))] == [name for name, *_ in before]


def test_it_only_looks_and_counts_as_nix_does(sandbox_nix: NixBox) -> None:
    """Nix itself, asked for roots or garbage, deletes the roots whose links it cannot see: those on a disk that is
    away."""
    flake = write_flake(sandbox_nix, PACKAGES + 'on_disk = mk "on-disk" "head -c 7000 /dev/zero > $out" {};')
    git(sandbox_nix, flake, "init", "-q")
    git(sandbox_nix, flake, "add", "-A")
    disk = sandbox_nix.work / "disk"
    disk.mkdir()
    sandbox_nix.nix("build", "--out-link", str(disk / "result"), f"{flake}#on_disk")
    sandbox_nix.nix("build", "--out-link", str(sandbox_nix.work / "result"), f"{flake}#default")
    doctor(sandbox_nix, flake)  # what evaluating leaves behind
    disk.rename(sandbox_nix.work / "away")
    roots, index = sandbox_nix.directory / "nix/var/nix/gcroots/auto", flake / ".git/index"
    before = sorted(os.listdir(roots)), index.stat().st_mtime_ns
    _, found = doctor(sandbox_nix, flake)
    assert (sorted(os.listdir(roots)), index.stat().st_mtime_ns) == before
    dead = set(sandbox_nix.run(["nix-store", "--gc", "--print-dead"]).stdout.split())
    valid = dead - set(sandbox_nix.run(["nix-store", "--check-validity", "--print-invalid", *dead]).stdout.split())
    assert found["garbage"]["found"].startswith(f"nix-collect-garbage would free {len(valid)} path")
    assert any(path.endswith("-on-disk") for path in valid)
    assert not any(path.endswith("-app") for path in valid)
    assert sorted(os.listdir(roots)) != before[0]


def test_every_ill_has_its_remedy(sandbox_nix: NixBox) -> None:
    flake = write_flake(sandbox_nix, PACKAGES)
    (flake / "flake.nix").write_text(
        (flake / "flake.nix").read_text().replace("{ outputs =", "{ inputs = {}; outputs =")
    )
    git(sandbox_nix, flake, "init", "-q")
    (flake / "new.nix").write_text("{}\n")
    sandbox_nix.conf(
        experimental_features="", substituters="http://127.0.0.1:9 file:///proc/nowhere", max_jobs=0, sandbox=False
    )
    code, found = doctor(sandbox_nix, flake, CI="true")
    assert code == 1
    ill = {
        "features",
        "untracked files",
        "flake.lock",
        "jobs",
        "substituter 127.0.0.1:9",
        "substituter directory /proc/nowhere",
        "installables",
    }
    assert states(found, "problem") == ill
    assert {"sandbox", "Magic Nix Cache"} <= states(found, "note")
    assert "new.nix" in found["untracked files"]["found"]
    git(sandbox_nix, flake, "add", "-A")
    old = int(time.time()) - 200 * 86400
    (flake / "flake.lock").write_text(json.dumps({"nodes": {"dep": {"locked": {"lastModified": old}}, "root": {}}}))
    assert doctor(sandbox_nix, flake)[1]["flake.lock"]["found"] == "it is not committed"
    git(sandbox_nix, flake, "add", "-A")
    assert doctor(sandbox_nix, flake)[1]["flake.lock"]["found"] == "old inputs: dep 200 days"
    (flake / "flake.lock").write_text("{")
    assert doctor(sandbox_nix, flake)[1]["flake.lock"]["state"] == "problem"


def test_problems_appear_in_a_check_and_in_the_terminal(sandbox_nix: NixBox) -> None:
    flake = write_flake(sandbox_nix, PACKAGES)
    git(sandbox_nix, flake, "init", "-q")
    git(sandbox_nix, flake, "add", "-A")
    (flake / "new.nix").write_text("{}\n")
    said = nix_repro(sandbox_nix, "check", "--scope", "closure", cwd=flake)
    assert [
        text
        for text in said.report["warnings"]
        if text.startswith("untracked files: Nix does not see new.nix. To do: git add")
    ]
    shown = sandbox_nix.run([*COMMAND, "doctor"], check=False, cwd=flake)
    assert shown.returncode == 1
    assert shown.stdout.startswith("✗ untracked files: Nix does not see new.nix\n    git add")
    assert shown.stdout.rstrip().endswith("in order")
