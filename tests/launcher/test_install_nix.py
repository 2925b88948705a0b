"""bin/install-nix where it must not install anything: one message, and nothing is touched."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
# A machine without Nix, of another kind: its PATH has only what is named here, and apt-get and sudo that leave a trace
# and fail.
TOOLS = ("bash", "cat", "dirname", "env", "mktemp", "rm", "tail")
TRACE = '#!/bin/sh\necho "{tool} $*" >> "{place}/started"\nexit 1\n'
MACHINE = 'mount --bind "$1" /etc/os-release; shift; exec "$@"'


def install(place: Path, distribution: str, *prefix: str) -> tuple[int, str, list[str]]:
    shutil.copytree(ROOT / "bin", place / "bin")  # an ordinary user may not reach the clone
    tools = place / "tools"
    tools.mkdir()
    for tool in TOOLS:
        (tools / tool).symlink_to(f"/usr/bin/{tool}")
    for tool in ("apt-get", "sudo"):
        (tools / tool).write_text(TRACE.format(tool=tool, place=place))
        (tools / tool).chmod(0o755)
    (place / "os-release").write_text(f"ID={distribution}\n")
    enter = [
        "unshare",
        "--mount",
        "--propagation",
        "private",
        "sh",
        "-euc",
        MACHINE,
        "sh",
        str(place / "os-release"),
        *prefix,
    ]
    done = subprocess.run(
        [*enter, "/usr/bin/env", f"PATH={tools}", "bash", str(place / "bin/install-nix")],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    started = place / "started"
    return done.returncode, done.stderr, started.read_text().splitlines() if started.exists() else []


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory that an ordinary user can reach and write in; pytest's own are closed."""
    with tempfile.TemporaryDirectory(prefix="nix-repro-install-") as directory:
        Path(directory).chmod(0o777)
        yield Path(directory)


def test_another_distribution_is_told_the_official_ways(place: Path) -> None:
    code, said, started = install(place, "fedora")
    assert (code, started) == (2, [])
    assert "Nix is not installed" in said
    assert "nixos.org/download" in said


def test_debian_is_told_what_runs_and_a_failure_is_explained(place: Path) -> None:
    code, said, started = install(place, "debian")
    assert code == 2
    assert "apt-get install -y -q --no-install-recommends nix-bin nix-setup-systemd" in said
    assert "going on with the package lists there are" in said
    assert "could not install Nix" in said
    assert [line.split()[:2] for line in started] == [["apt-get", "update"], ["apt-get", "install"]]


def test_without_root_or_sudo_nothing_is_tried(place: Path) -> None:
    code, said, started = install(place, "debian", "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
    assert code == 2
    assert "needs root or sudo" in said
    assert not [line for line in started if line.startswith("apt-get")]
