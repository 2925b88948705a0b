"""What real git repositories say of themselves."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from nix_repro.doctor import flake
from nix_repro.nix.checkout import (
    Checkout,
    complaint,
    flake_ref,
    has_commit,
    on_default_branch,
    read_checkout,
    tracked_files,
)
from nix_repro.output.github.places import nix_files
from nix_repro.plan.changed import changed_files

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


#: What git would run for these settings, were it to believe them.
PROGRAMS = ("fsmonitor", "pager", "editor", "sshCommand", "gitProxy", "askPass", "alternateRefsCommand")


def look_at(cwd: Path, head: str) -> None:
    """Everything that git is asked."""
    read_checkout(cwd)
    complaint(cwd)
    has_commit(cwd, head)
    on_default_branch(cwd)
    tracked_files(cwd)
    nix_files(cwd)
    flake.lock(cwd)
    flake.tree(cwd)
    flake.depth(cwd, {})
    changed_files(cwd, head, ".")


def traps(config: Path, tmp_path: Path) -> Path:
    """Settings that run a program, which writes down that it ran."""
    ran, program = tmp_path / "ran", tmp_path / "program"
    program.write_text(f"#!/bin/sh\necho $0 $* >> {ran}\n")
    program.chmod(0o755)
    lines = ["[core]", *(f"{name} = {program}" for name in PROGRAMS), f"hooksPath = {config.parent}/hooks"]
    lines += ["[diff]", f"external = {program}", '[diff "nix"]', f"textconv = {program}", f"command = {program}"]
    with config.open("a") as file:
        file.write("\n".join(lines) + "\n")
    (config.parent / "hooks").mkdir(exist_ok=True)
    for hook in ("post-index-change", "fsmonitor-watchman", "reference-transaction", "post-checkout"):
        (config.parent / "hooks" / hook).symlink_to(program)
    return ran


@pytest.mark.parametrize("inner", [".", "inner/deep"])
def test_tracked_files_that_look_like_a_repository_are_none(repository: Path, tmp_path: Path, inner: str) -> None:
    """`git status` in such a directory runs what the files say, from a plain clone."""
    bare = repository / "sub"
    for directory in ("objects/info", "refs/heads", inner):
        (bare / directory).mkdir(parents=True, exist_ok=True)
    (bare / "HEAD").write_text("ref: refs/heads/main\n")
    (bare / "config").write_text("[core]\nrepositoryformatversion = 0\nbare = false\nworktree = .\n")
    ran = traps(bare / "config", tmp_path)
    for name in ("objects/info/keep", "refs/heads/keep", f"{inner}/flake.nix"):
        (bare / name).write_text("{ outputs = _: { }; }\n")
    git(repository, "add", "-f", ".")
    git(repository, "commit", "-q", "-m", "second")
    head = git(repository, "rev-parse", "HEAD")
    (bare / inner / "flake.nix").write_text("{ }")
    cwd = bare / inner
    look_at(cwd, head)
    assert not ran.exists(), ran.read_text()
    # What is there is seen all the same.
    prefix = "sub/" if inner == "." else "sub/inner/deep/"
    assert read_checkout(cwd) == Checkout(head, prefix, None, dirty=True)
    assert has_commit(cwd, head)
    assert "flake.nix" in (tracked_files(cwd) or [])
    assert [row.check for row in flake.tree(cwd)] == ["work tree"]


def test_a_directory_that_only_looks_like_a_repository_is_none(tmp_path: Path) -> None:
    """Such as an unpacked archive."""
    git(tmp_path, "init", "-q", "--bare", "archive")
    ran = traps(tmp_path / "archive/config", tmp_path)
    look_at(tmp_path / "archive", "0" * 40)
    assert read_checkout(tmp_path / "archive") == Checkout()
    assert not ran.exists(), ran.read_text()


def test_what_the_repository_itself_would_run_is_not_run_either(repository: Path, tmp_path: Path) -> None:
    (repository / ".gitattributes").write_text("*.nix diff=nix\n")
    git(repository, "add", ".")
    git(repository, "commit", "-q", "-m", "second")
    head = git(repository, "rev-parse", "HEAD")
    ran = traps(repository / ".git/config", tmp_path)
    (repository / "flake.nix").write_text("{ }")
    look_at(repository, head)
    assert changed_files(repository, head, ".") == frozenset({"flake.nix"})
    assert not ran.exists(), ran.read_text()


@pytest.mark.parametrize("revision", ["--batch", "HEAD", "main", "", "c0ffee", "--help" + "0" * 40])
def test_a_commit_is_named_in_full(repository: Path, revision: str) -> None:
    assert not has_commit(repository, revision)
    assert has_commit(repository, git(repository, "rev-parse", "HEAD"))


def test_tracked_files_are_named_from_where_one_is(repository: Path) -> None:
    (repository / "sub/a b*.nix").touch()
    git(repository, "add", ".")
    assert tracked_files(repository) == ["flake.nix", "sub/a b*.nix", "sub/flake.nix"]
    assert tracked_files(repository / "sub") == ["a b*.nix", "flake.nix"]
    assert tracked_files(Path("/")) is None
