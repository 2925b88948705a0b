"""bin/lib/action-start, the first step of action.yml, on its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from action_start import start


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
