"""Where Nix builds, and on what kind of place."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from nix_repro.build.build_dir import kind, usual
from nix_repro.nix.series import release

ROOM = Path("/nix/var")


@pytest.mark.parametrize(
    ("settings", "version", "environ", "where"),
    [
        ({}, "2.8.0", {}, "/tmp"),
        ({}, "2.8.0", {"TMPDIR": "/t"}, "/t"),
        ({"build-dir": None}, "2.29.1", {"TMPDIR": "/t"}, "/t"),
        ({"build-dir": None}, "2.30.0", {"TMPDIR": "/t"}, "/nix/var"),
        ({"build-dir": "/b"}, "2.34.2", {"TMPDIR": "/t"}, "/b"),
    ],
)
def test_where_nix_builds(settings: dict[str, str], version: str, environ: dict[str, str], where: str) -> None:
    assert usual(settings, release(f"nix (Nix) {version}"), environ, ROOM) == Path(where)


def mounted(path: Path, system: str) -> str:
    device = os.stat(path).st_dev
    number = f"{os.major(device)}:{os.minor(device)}"
    return f"21 1 0:5 / / rw - ext4 /dev/x rw\n\n36 21 {number} / {path} rw shared:1 - {system} none rw\nodd line\n"


@pytest.mark.parametrize(("system", "told"), [("tmpfs", "memory"), ("ramfs", "memory"), ("ext4", "disk")])
def test_what_it_lies_on(tmp_path: Path, system: str, told: str) -> None:
    assert kind(tmp_path, mounted(tmp_path, system)) == told
    assert kind(tmp_path / "not/yet", mounted(tmp_path, system)) == told
    assert kind(tmp_path, "") == "disk"


def test_memory_of_this_machine_is_told() -> None:
    assert kind(Path("/dev/shm")) == "memory"
