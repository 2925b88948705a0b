"""Where a configuration file may not lead: out of the checkout, and to what is in it instead of programs and caches."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from nix_repro.config import layer, read_settings
from nix_repro.config.confine import confine
from nix_repro.errors import UsageError


@pytest.fixture
def top(tmp_path: Path) -> Path:
    top = tmp_path / "checkout"
    (top / "sub").mkdir(parents=True)
    (top / ".git").mkdir()
    (top / "out").symlink_to(tmp_path)
    (top / "file").symlink_to(tmp_path / "victim")
    (tmp_path / "victim").write_text("precious")
    (top / "loop").symlink_to("loop")
    os.mkfifo(top / "pipe")
    return top


def confined(text: str, cwd: Path, top: Path) -> None:
    confine(read_settings(text.encode(), "c.yml"), cwd, top)


@pytest.mark.parametrize(
    "path",
    [
        "../victim",
        "sub/../../victim",
        "out/victim",
        "file",
        "loop",
        "/etc/passwd",
        ".git/config",
        "pipe",
        "sub/../.git/x",
    ],
)
@pytest.mark.parametrize("key", ["history", "base-report"])
def test_files_are_inside(top: Path, key: str, path: str) -> None:
    with pytest.raises(UsageError, match=rf"^c\.yml:1: {key}: "):
        confined(f"{key}: {path}\n", top, top)


@pytest.mark.parametrize("path", ["history.json", ".cache/history.json", "sub/x/y.json", "sub/../x.json"])
def test_files_that_are_inside_may_be_named(top: Path, path: str) -> None:
    confined(f"history: {path}\nbase-report: {path}\n", top, top)
    confined("history: ../history.json\n", top / "sub", top)
    confined(f"history: {top}/history.json\n", top, top)


@pytest.mark.parametrize(
    "word",
    [
        "../..#x",
        "/root#x",
        "path:/root#x",
        "path:out#x",
        "git+file:///root#x",
        "git+file:/root#x",
        "~/x#y",
        "out#x/../..",
    ],
)
def test_flakes_are_inside(top: Path, word: str) -> None:
    if word.startswith(("out", "~")):
        word = f"./{word}" if word.startswith("out") else "/home/x#y"
    with pytest.raises(UsageError, match=r"^c\.yml:1: installables: "):
        confined(f"installables: ['{word}']\n", top, top)


@pytest.mark.parametrize(
    "word",
    [
        ".#default",
        "#x",
        "all",
        ".#all",
        "./sub#x",
        "path:.#x",
        "path:sub",
        "github:o/r#x",
        "nixpkgs#hello",
        "/nix/store/00000000000000000000000000000000-x.drv",
        'packages.x86_64-linux."weird name"',
        ".?submodules=1#x",
    ],
)
def test_flakes_that_are_inside_or_elsewhere_altogether(top: Path, word: str) -> None:
    confined(f"installables: ['{word}']\n", top, top)


@pytest.mark.parametrize(
    "url",
    [
        "unix:///tmp/socket",
        "local?root=/home/user",
        "local?root=out",
        "local?root=sub&build-hook=x",
        "local?state=x",
        "ssh-ng://host?remote-program=x",
        "ssh://-oProxyCommand=x",
        "ssh://a b",
        "file:///x",
        "daemon://",
    ],
)
def test_rebuilders_are_hosts_or_inside(top: Path, url: str) -> None:
    with pytest.raises(UsageError, match=r"^c\.yml:1: rebuilder: "):
        confined(f"rebuilder: '{url}'\n", top, top)


@pytest.mark.parametrize(
    "url", ["auto", "nix-check", "ssh-ng://host", "ssh://me@host.example:22", "local?root=sub", "local?root=new"]
)
def test_rebuilders_that_may_be_named(top: Path, url: str) -> None:
    confined(f"rebuilder: '{url}'\n", top, top)


@pytest.mark.parametrize("url", ["file:///x", "file://x", "local?root=x://", "ssh://-oProxyCommand=x", "unix:///x://"])
def test_caches_are_on_the_web(top: Path, url: str) -> None:
    with pytest.raises(UsageError, match=r"^c\.yml:1: upstream-caches: "):
        confined(f"upstream-caches: '{url}'\n", top, top)


def test_caches_that_may_be_named(top: Path) -> None:
    confined("upstream-caches: none\n", top, top)
    confined("upstream-caches: [https://a, http://b/c, 's3://bucket?region=x']\n", top, top)


def test_programs_are_found_on_the_path(top: Path) -> None:
    confined("diffoscope: diffoscope\n", top, top)
    for program in ("./diffoscope", "/bin/sh", "sub/x"):
        with pytest.raises(UsageError, match=r"^c\.yml:1: diffoscope: "):
            confined(f"diffoscope: {program}\n", top, top)


def test_what_is_no_path_is_left_to_who_reads_it(top: Path) -> None:
    confined("history: 5\nrounds: x\nfail-on: none\n", top, top)
    confine(layer({"history": "x.json"}, "input {}"), top, top)
