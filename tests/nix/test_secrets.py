"""Secrets in every place where a URL or a setting can carry one, and none of them in anything that is shown or kept."""

from __future__ import annotations

import io
import subprocess
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from binary_cache import BinaryCache, serve
from command import COMMAND, SYSTEM

if TYPE_CHECKING:
    from store import NixBox

SECRET = "5ecr3tW0rd"
PACKAGES = """
{ outputs = { self }: let
  mk = name: script: derivation {
    inherit name; system = "SYSTEM"; builder = "/bin/sh"; args = [ "-c" script ]; PATH = "/usr/bin:/bin";
  };
in { packages.SYSTEM = {
  default = mk "chance" "cat /proc/sys/kernel/random/uuid > $out";
  bad = mk "bad" "echo BOX; echo fetching https://me:SECRET@h.example/x?token=SECRET; exit 1";
  thrown = throw "no access to https://me:SECRET@h.example/x?token=SECRET";
}; }; }
"""


@pytest.mark.series("2.34")
def test_no_output_has_them(sandbox_nix: NixBox) -> None:
    box = sandbox_nix
    flake = box.work / "flake"
    flake.mkdir()
    text = PACKAGES.replace("SYSTEM", SYSTEM).replace("SECRET", SECRET).replace("BOX", box.directory.name)
    (flake / "flake.nix").write_text(text)
    site = box.work / "site"
    site.mkdir()
    (site / "nix-cache-info").write_text("StoreDir: /nix/store\n")
    with tarfile.open(site / "flake.tar.gz", "w:gz") as archive:
        data = tarfile.TarInfo("flake/flake.nix")
        data.size = len(text.encode())
        archive.addfile(data, io.BytesIO(text.encode()))
    report = box.work / "report"
    history = box.work / "history.json"
    with serve(BinaryCache(site, "")) as server:
        server.fault = lambda path: (418, {}) if ".narinfo" in path else None
        with_secret = server.url.replace("://", f"://me:{SECRET}@")
        caches = f"{with_secret}?token={SECRET} http://me:{SECRET}@127.0.0.1:9"
        tarball = f"{with_secret}/flake.tar.gz?token={SECRET}"
        options = ["--option", "substituters", caches, "--option", "netrc-file", f"/dev/null/{SECRET}"]
        options += ["--option", "access-tokens", f"github.com={SECRET}"]
        options += ["--upstream-caches", f"http://me:{SECRET}@127.0.0.1:9"]
        env = {"NIX_CONFIG": f"access-tokens = gitlab.com=PAT:{SECRET}"}
        said = ""

        def run(*args: str, code: int) -> None:
            nonlocal said
            done = box.run([*COMMAND, *args], cwd=flake, env=env, check=False)
            assert done.returncode == code, (args, done.stdout, done.stderr)
            said += done.stdout + done.stderr

        names = [f"{tarball}#default", ".#bad"]
        test = f"sh -c 'echo https://me:{SECRET}@h; exit 1' https://me:{SECRET}@h?token={SECRET}"
        results = ["--report-dir", str(report), "--history", str(history), "--html", "/dev/stdout", "--test", test]
        run("check", *names, *options, *results, code=1)
        run("plan", *names, *options, code=0)
        run("plan", f"{tarball}#thrown", *options, code=2)
        run("plan", f"{tarball.replace('flake.tar', 'gone.tar')}#x", *options, code=2)
        run("plan", "--rebuilder", f"https//me:{SECRET}@h", "--since", f"https://me:{SECRET}@h", code=2)
        done = box.run([*COMMAND, "doctor", "--json", ".#bad"], cwd=flake, env=env, check=False)
        said += done.stdout + done.stderr
    assert "answered 418" in said
    kept = {path: path.read_bytes() for path in report.rglob("*") if path.is_file()} | {history: history.read_bytes()}
    assert {path.name for path in kept} >= {"report.json", "report.html", "summary.md", "junit.xml", "trees.tar.gz"}
    assert [line for line in said.splitlines() if SECRET in line] == []
    assert [path.name for path, content in kept.items() if SECRET.encode() in content] == []
    trees = subprocess.run(["tar", "-xzOf", report / "trees.tar.gz"], capture_output=True, check=True).stdout
    assert SECRET.encode() not in trees
    assert Path(report / "report.json").read_text().count("/flake.tar.gz?token=***#") > 1


@pytest.mark.series("2.8")
def test_a_store_that_is_a_rebuilder(sandbox_nix: NixBox) -> None:
    """Its URL is named where it cannot be used, and behind every hash where it can."""
    flake = sandbox_nix.work / "flake"
    flake.mkdir()
    (flake / "flake.nix").write_text(PACKAGES.replace("SYSTEM", SYSTEM).replace("BOX", sandbox_nix.directory.name))
    report = sandbox_nix.work / "report"
    url = f"ssh-ng://me:{SECRET}@127.0.0.1?remote-program=/none&password={SECRET}"
    options = ["--rebuilder", url, "--report-dir", str(report)]
    done = sandbox_nix.run([*COMMAND, "check", *options], cwd=flake, check=False)
    assert done.returncode != 0
    kept = [path.read_text("utf-8", "replace") for path in report.rglob("*") if path.is_file()]
    assert [text for text in (done.stdout, done.stderr, *kept) if SECRET in text] == []
