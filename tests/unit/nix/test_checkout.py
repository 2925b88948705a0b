"""What real git repositories say of themselves."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

import pytest

from nix_repro.nix.checkout import Checkout, complaint, flake_ref, read_checkout, reproduce_line

GITHUB = {"GITHUB_SERVER_URL": "https://github.com", "GITHUB_REPOSITORY": "octo/flake"}


def git(cwd: Path, *args: str) -> str:
    config = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "init.defaultBranch=main"]
    return subprocess.run(["git", *config, *args], cwd=cwd, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    top = tmp_path / "repository"
    (top / "sub").mkdir(parents=True)
    for name in ("flake.nix", "sub/flake.nix"):
        (top / name).write_text("{ outputs = _: { }; }\n")
    git(top, "init", "-q")
    git(top, "add", ".")
    git(top, "commit", "-q", "-m", "first")
    return top


def test_a_clean_checkout(repository: Path) -> None:
    head = git(repository, "rev-parse", "HEAD")
    assert read_checkout(repository) == Checkout(head, "", None, dirty=False)
    assert read_checkout(repository / "sub") == Checkout(head, "sub/", None, dirty=False)


def test_dirt_is_a_change_of_tracked_files(repository: Path) -> None:
    (repository / "untracked").touch()
    assert not read_checkout(repository).dirty
    (repository / "flake.nix").write_text("{ }")
    assert read_checkout(repository).dirty


def test_no_checkout_and_no_commit(tmp_path: Path) -> None:
    assert read_checkout(tmp_path) == Checkout()
    git(tmp_path, "init", "-q")
    assert read_checkout(tmp_path) == Checkout()


def test_without_git(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    assert read_checkout(repository) == Checkout()
    assert complaint(repository) is None


@pytest.mark.parametrize(
    ("checkout", "environ", "ref"),
    [
        (Checkout("c0ffee"), GITHUB, "github:octo/flake/c0ffee"),
        (Checkout("c0ffee", "nix/"), GITHUB, "github:octo/flake/c0ffee?dir=nix"),
        (Checkout("c0ffee", dirty=True), GITHUB, "."),
        (Checkout(), GITHUB, "."),
        (Checkout("c0ffee"), {}, "."),
        (
            Checkout("c0ffee"),
            {**GITHUB, "GITHUB_SERVER_URL": "https://ghe.example"},
            "git+https://ghe.example/octo/flake?rev=c0ffee",
        ),
        (Checkout("c0ffee", "nix/", "https://git.example/a"), {}, "git+https://git.example/a?rev=c0ffee&dir=nix"),
        # Nothing with credentials or a login goes into a report.
        (Checkout("c0ffee", "", "https://user:secret@git.example/a"), {}, "."),
        (Checkout("c0ffee", "", "git@git.example:a"), {}, "."),
        (Checkout("c0ffee", "", "/srv/git/a"), {}, "."),
    ],
)
def test_how_another_machine_names_it(checkout: Checkout, environ: dict[str, str], ref: str) -> None:
    assert flake_ref(checkout, environ) == ref


@pytest.mark.parametrize(
    ("ref", "attr", "argument"),
    [
        ("github:o/r/c0ffee", "packages.x86_64-linux.default", "github:o/r/c0ffee#packages.x86_64-linux.default"),
        (".", "default", ".#default"),
        ("github:o/r/c", "/nix/store/x.drv", "/nix/store/x.drv"),
        ("github:o/r/c", "github:other/flake#x", "github:other/flake#x"),
        (".", 'packages."$(touch /hacked)`id`;\'x"', '.#packages."$(touch /hacked)`id`;\'x"'),
    ],
)
def test_the_line_to_copy_is_safe_in_a_shell(ref: str, attr: str, argument: str) -> None:
    assert shlex.split(reproduce_line(ref, attr)) == ["nix-repro", "check", argument]
    said = subprocess.run(
        ["sh", "-c", reproduce_line(ref, attr).replace("nix-repro", "printf '%s\\n'", 1)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout.splitlines() == ["check", argument]


def test_a_flake_that_git_does_not_track(repository: Path) -> None:
    assert complaint(repository) is None
    (repository / "new").mkdir()
    (repository / "new/flake.nix").write_text("{ }")
    assert (
        complaint(repository / "new")
        == "flake.nix is not tracked by git, and Nix does not see untracked files: git add flake.nix"
    )


def test_outside_a_repository_git_has_no_objection(tmp_path: Path) -> None:
    (tmp_path / "flake.nix").write_text("{ }")
    assert complaint(tmp_path) is None
