"""The test command: what it finds, and what it does not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from nix_repro.build.suite import run_command
from nix_repro.nix.command import Nix
from nix_repro.nix.processes import Processes


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with a Nix where an installer leaves it, and nothing of it on PATH."""
    profile = tmp_path / "home" / ".nix-profile" / "bin"
    profile.mkdir(parents=True)
    for name in ("nix", "nix-store"):
        (profile / name).write_text(f"#!/bin/sh\necho this is {name}\n")
        (profile / name).chmod(0o755)
    monkeypatch.setattr("nix_repro.nix.find._PROFILES", (str(profile),))
    return profile


@pytest.mark.parametrize("path", ["/usr/bin:/bin", ""])
def test_the_command_finds_the_nix_that_the_check_found(installed: Path, tmp_path: Path, path: str) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("sh", "env"):
        (programs / name).symlink_to(f"/bin/{name}" if name == "sh" else "/usr/bin/env")
    nix = Nix(Processes(), {"PATH": f"{programs}" if path else ""})
    assert nix.binary == installed / "nix"
    for command in (["nix", "--version"], ["nix-store", "--version"]):
        assert run_command(nix, command, tmp_path).status == "passed"
    assert run_command(nix, ["not-a-program"], tmp_path).status == "failed"
    assert "PATH" in nix.env
    assert str(installed) not in nix.env["PATH"], "only a test command has it: builds have the PATH of the job"


def test_what_is_on_path_comes_first(installed: Path, tmp_path: Path) -> None:
    """A wrapper of the user's own stays what it is."""
    own = tmp_path / "own"
    own.mkdir()
    (own / "nix").write_text("#!/bin/sh\nexit 3\n")
    (own / "nix").chmod(0o755)
    nix = Nix(Processes(), {"PATH": os.pathsep.join([str(own), "/usr/bin", "/bin"])})
    assert nix.binary == own / "nix"
    assert run_command(nix, ["nix", "--version"], tmp_path).log == "exit code 3"
