"""bin/lib/action-start, the first step of action.yml, on its own."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

START = Path(__file__).parents[2] / "bin" / "lib" / "action-start"
DEFAULTS = {
    "ID": "",
    "INSTALL_NIX": "never",
    "CACHE_INPUT": "none",
    "CACHIX_NAME": "",
    "JOB_INDEX": "",
    "GITHUB_JOB": "test",
}


def start(tmp_path: Path, **environ: str) -> tuple[int, dict[str, str], str]:
    output = tmp_path / "output"
    output.write_text("")
    values = {
        "PATH": os.environ["PATH"],
        "GITHUB_OUTPUT": str(output),
        "RUNNER_OS": "Linux",
        "RUNNER_ARCH": "ARM64",
        **DEFAULTS,
        **environ,
    }
    done = subprocess.run([START], env=values, cwd=tmp_path, capture_output=True, text=True, check=False)
    return done.returncode, dict(line.partition("=")[::2] for line in output.read_text().splitlines()), done.stdout


def test_the_default_id_tells_legs_and_runners_apart(tmp_path: Path) -> None:
    ids = {
        start(tmp_path, JOB_INDEX=index, RUNNER_OS=system)[1]["id"]
        for index in ("0", "1")
        for system in ("Linux", "macOS")
    }
    assert ids == {"test-0-Linux-ARM64", "test-1-Linux-ARM64", "test-0-macOS-ARM64", "test-1-macOS-ARM64"}


@pytest.mark.parametrize("written", ["a\nb=c", 'x":<>|*?\\/', "$(id)", "x" * 500])
def test_an_id_becomes_a_name_for_an_artifact(tmp_path: Path, written: str) -> None:
    code, outputs, _ = start(tmp_path, ID=written)
    assert code == 0
    assert set(outputs) == {"at", "id", "install", "caches"}
    assert 0 < len(outputs["id"]) <= 100
    assert not set(outputs["id"]) & set('":<>|*?\\/\r\n$()')


@pytest.mark.parametrize(
    ("written", "understood"),
    [
        ("", " "),
        ("none", " "),
        ("magic", " magic "),
        ("magic,github", " magic github "),
        (" magic\ngithub\n", " magic github "),
    ],
)
def test_caches_are_a_list(tmp_path: Path, written: str, understood: str) -> None:
    assert start(tmp_path, CACHE_INPUT=written)[1]["caches"] == understood


@pytest.mark.parametrize("written", ["magik", "*", "magic;id", "$(id)", "::error::x", "%0A::error::x"])
def test_an_unknown_cache_is_named_without_becoming_a_command(tmp_path: Path, written: str) -> None:
    (tmp_path / "magic").write_text("a file that a star would find")
    code, outputs, said = start(tmp_path, CACHE_INPUT=written)
    assert (code, outputs) == (2, {"exit-code": "2"})
    assert said.startswith("::error title=nix-repro::input cache ")
    assert said.count("\n") == 1
    assert said.count("::") == 2
    assert "%" not in said
