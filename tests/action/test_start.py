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
    assert set(outputs) == {"at", "entry", "id", "install", "caches"}
    assert 0 < len(outputs["id"]) <= 100
    assert not set(outputs["id"]) & set('":<>|*?\\/\r\n$()')


def test_two_workflows_with_jobs_of_one_name_have_two_ids(tmp_path: Path) -> None:
    workflows = ("ci", "nightly", "My CI: all of it", ".github/workflows/release.yaml", "")
    ids = [start(tmp_path, GITHUB_WORKFLOW=workflow)[1]["id"] for workflow in workflows]
    ends = ["ci-", "nightly-", "My-CI--all-of-it-", "release-", ""]
    assert ids == [f"{end}test-0-Linux-ARM64" for end in ends]


@pytest.mark.parametrize("written", [("a/b", "a-b"), ("a b", "a_b"), ("x" * 95, "x" * 96), ("é", "è"), ("a b", "a/b")])
def test_ids_that_differ_stay_different(tmp_path: Path, written: tuple[str, str]) -> None:
    first, second = (start(tmp_path, ID=one)[1]["id"] for one in written)
    assert first != second
    assert start(tmp_path, ID=written[0])[1]["id"] == first


@pytest.mark.parametrize("written", ["", "api", ".."])
def test_two_steps_of_one_job_have_two_ids(tmp_path: Path, written: str) -> None:
    first, second, third = (start(tmp_path, ID=written, RUNNER_TEMP=str(tmp_path)) for _ in range(3))
    base = written or "test-0-Linux-ARM64"
    assert [one[1]["id"] for one in (first, second, third)] == [base, f"{base}-2", f"{base}-3"]
    # Nobody has chosen a default: to tell them apart is ours.
    assert ("::warning" in second[2]) is bool(written)
    assert start(tmp_path, ID=written, RUNNER_TEMP="/nonexistent")[1]["id"] == base


@pytest.mark.parametrize(
    ("written", "understood"),
    [
        ("", " "),
        ("none", " "),
        ("magic", " magic "),
        ("magic,github", " magic github "),
        (" magic\ngithub\n", " magic github "),
        ("verified, magic", " verified magic "),
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
