"""The git checkout that is checked: its commit, how to name it elsewhere, and what git itself is unhappy about.

What git is told here starts no program that a checkout names. Git takes any directory with the right files for a bare
repository, its `config` included, and these files can be tracked like any others: so it always works from the directory
that has a `.git`, which cannot be tracked.
"""

from __future__ import annotations

import os
import posixpath
import re
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from nix_repro.errors import UsageError

#: The settings beside a flake, which are no part of what it builds.
CONFIGURATION_FILE = ".nix-repro.yml"
#: Without optional locks, or `git status` writes what it has found into the index. An empty `core.fsmonitor` means none
#: to every version of git; the oldest ones would run the program `false`.
_QUIETLY = (
    "--no-optional-locks",
    "--no-pager",
    *("-c", "safe.bareRepository=explicit"),
    *("-c", "core.fsmonitor="),
    *("-c", "core.hooksPath=/dev/null"),
)
#: Of the commands that show differences.
_NO_PROGRAMS = ("--no-ext-diff", "--no-textconv")
_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")


@dataclass(frozen=True)
class Checkout:
    """`commit` is null outside a repository; `prefix` is the directory below the repository's top, with a slash or "";
    `remote` is the URL of `origin`; `dirty` says that tracked files differ from the commit."""

    commit: str | None = None
    prefix: str = ""
    remote: str | None = None
    dirty: bool = False


def read_checkout(cwd: Path) -> Checkout:
    """What git says of the directory; nothing when it is not a checkout or git is not there."""
    commit = git(cwd, "rev-parse", "HEAD")
    if commit is None:
        return Checkout()
    return Checkout(
        commit,
        _prefix(cwd),
        git(cwd, "remote", "get-url", "origin"),
        bool(git(cwd, "status", "--porcelain", "--untracked-files=no")),
    )


def on_default_branch(cwd: Path) -> bool:
    """Is what is checked out the default branch: what `origin` calls its head, else main or master?"""
    branch, head = git(cwd, "rev-parse", "--abbrev-ref", "HEAD"), git(cwd, "rev-parse", "--abbrev-ref", "origin/HEAD")
    return branch == head.removeprefix("origin/") if head is not None else branch in ("main", "master")


def flake_ref(checkout: Checkout, environ: Mapping[str, str]) -> str:
    """The flake at this commit as another machine can name it; `.` when nothing better is known."""
    repository = environ.get("GITHUB_REPOSITORY")
    where = f"?dir={checkout.prefix.rstrip('/')}" if checkout.prefix else ""
    if checkout.commit is None or checkout.dirty:
        return "."
    if repository and environ.get("GITHUB_SERVER_URL", "https://github.com") == "https://github.com":
        return f"github:{repository}/{checkout.commit}{where}"
    url = (
        f"{environ['GITHUB_SERVER_URL']}/{repository}"
        if repository and "GITHUB_SERVER_URL" in environ
        else checkout.remote
    )
    if url is None or "://" not in url or "@" in url:
        return "."
    return f"git+{url}?rev={checkout.commit}{where.replace('?', '&')}"


def has_commit(cwd: Path, revision: str) -> bool:
    """Is the commit, named in full, in this clone? A shallow one has few."""
    return _COMMIT.fullmatch(revision) is not None and git(cwd, "cat-file", "-e", f"{revision}^{{commit}}") is not None


def file_at(cwd: Path, commit: str, path: str, limit: int) -> bytes | None:
    """What the file was at a commit that is in the clone; None when it was not there. `path` is relative to `cwd`.
    Raises `UsageError` for what is no regular file of at most `limit` bytes."""
    entry = git(cwd, "ls-tree", "-z", commit, paths=[path])
    if not entry:
        return None
    mode, _, blob = entry.partition("\t")[0].split()
    size = git(cwd, "cat-file", "-s", blob)
    content = _run(cwd, "cat-file", "blob", blob) if size is not None and int(size) <= limit else None
    if mode not in ("100644", "100755") or content is None or content.returncode != 0:
        raise UsageError(f"{path} at {commit[:7]}: no regular file with at most {limit:,} bytes of text")
    return content.stdout.encode("utf-8")


def complaint(cwd: Path) -> str | None:
    """What keeps Nix from seeing a flake that is there, with the remedy; None when git has no objection."""
    asked = _run(cwd, "rev-parse", "--show-toplevel")
    if asked is None:
        return None
    if asked.returncode != 0:
        if "dubious ownership" in asked.stderr:
            # It is the repository that git has to trust, not the flake's directory in it.
            remedy = f"git config --global --add safe.directory {shlex.quote(str(_top(cwd)))}"
            return f"git does not trust this checkout, because another user owns it: {remedy}"
        return None
    if (cwd / "flake.nix").is_file() and git(cwd, "ls-files", "--error-unmatch", paths=["flake.nix"]) is None:
        return "flake.nix is not tracked by git, and Nix does not see untracked files: git add flake.nix"
    return None


def git(cwd: Path, command: str, *args: str, paths: Sequence[str] = ()) -> str | None:
    """What a git command says, without the line end; None when it fails. `paths` are relative to `cwd`; what git prints
    is relative to the top of the repository."""
    asked = _run(cwd, command, *args, paths=paths)
    return asked.stdout.strip() if asked is not None and asked.returncode == 0 else None


def tracked_files(cwd: Path) -> list[str] | None:
    """The tracked files in the directory, relative to it; None when git does not know."""
    said = git(cwd, "ls-files", "-z", paths=["."])
    if said is None:
        return None
    return [name.removeprefix(_prefix(cwd)) for name in said.split("\0") if name]


def _top(cwd: Path) -> Path | None:
    here = cwd.resolve()
    return next((directory for directory in (here, *here.parents) if os.path.exists(directory / ".git")), None)


def _prefix(cwd: Path) -> str:
    """Where a directory is below the top of its repository, with a slash or ""."""
    top = _top(cwd)
    inside = "." if top is None else cwd.resolve().relative_to(top).as_posix()
    return "" if inside == "." else f"{inside}/"


def _run(cwd: Path, command: str, *args: str, paths: Sequence[str] = ()) -> subprocess.CompletedProcess[str] | None:
    if (top := _top(cwd)) is None:
        return None
    quietly = _NO_PROGRAMS if command in ("diff", "show") else ()
    inside = (posixpath.normpath(_prefix(cwd) + path) for path in paths)
    specs = [f":(literal){path}" for path in inside if path != "."]
    try:
        return subprocess.run(
            ["git", *_QUIETLY, command, *quietly, *args, *(["--", *specs] if specs else [])],
            cwd=top,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=30,
            check=False,
        )
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None
