"""A checkout that belongs to another user, which root alone can make."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from nix_repro.nix.checkout import complaint


@pytest.mark.parametrize("flake", [".", "services/api"])
def test_a_checkout_of_somebody_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flake: str) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SUDO_UID", raising=False)
    repository = tmp_path / "repository"
    repository.mkdir()
    directory = repository / flake
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "flake.nix").write_text("{ outputs = _: { }; }\n")
    subprocess.run(["git", "init", "-q"], cwd=repository, check=True)
    subprocess.run(["git", "add", "."], cwd=repository, check=True)
    for path in (repository, repository / ".git"):
        shutil.chown(path, 12345)
    said = complaint(directory)
    assert said is not None
    assert said.startswith("git does not trust this checkout, because another user owns it: ")
    subprocess.run(["sh", "-c", said.rpartition(": ")[2]], check=True)
    assert complaint(directory) is None, "the remedy is the remedy"
