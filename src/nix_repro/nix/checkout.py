"""The git checkout that is checked: its commit, how to name it elsewhere, and what git itself is unhappy about."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


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
        git(cwd, "rev-parse", "--show-prefix") or "",
        git(cwd, "remote", "get-url", "origin"),
        bool(git(cwd, "status", "--porcelain", "--untracked-files=no")),
    )


def on_default_branch(environ: Mapping[str, str], cwd: Path) -> bool:
    """Is this a run of the default branch: on GitHub by the event, elsewhere by what `origin` calls its head, else main
    or master?"""
    import json

    branch = environ.get("GITHUB_REF_NAME") or git(cwd, "rev-parse", "--abbrev-ref", "HEAD")
    try:
        event = json.loads(Path(environ.get("GITHUB_EVENT_PATH", "")).read_text(encoding="utf-8"))
        default = event["repository"]["default_branch"]
    except (OSError, ValueError, KeyError, TypeError):
        head = git(cwd, "rev-parse", "--abbrev-ref", "origin/HEAD")
        default = head.removeprefix("origin/") if head is not None else None
    return branch == default if isinstance(default, str) else branch in ("main", "master")


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


def reproduce_line(ref: str, attr: str) -> str:
    """One line for a shell that repeats the check of one installable."""
    installable = attr if "#" in attr or attr.startswith("/") else f"{ref}#{attr}"
    return f"nix-repro check {shlex.quote(installable)}"


def has_commit(cwd: Path, revision: str) -> bool:
    """Is the commit in this clone? A shallow one has few."""
    return git(cwd, "cat-file", "-e", f"{revision}^{{commit}}") is not None


def complaint(cwd: Path) -> str | None:
    """What keeps Nix from seeing a flake that is there, with the remedy; None when git has no objection."""
    asked = _run(cwd, "rev-parse", "--show-toplevel")
    if asked is None:
        return None
    if asked.returncode != 0:
        if "dubious ownership" in asked.stderr:
            remedy = f"git config --global --add safe.directory {shlex.quote(str(cwd))}"
            return f"git does not trust this checkout, because another user owns it: {remedy}"
        return None
    if (cwd / "flake.nix").is_file() and git(cwd, "ls-files", "--error-unmatch", "flake.nix") is None:
        return "flake.nix is not tracked by git, and Nix does not see untracked files: git add flake.nix"
    return None


def git(cwd: Path, *args: str) -> str | None:
    """What a git command says, without the line end; None when it fails."""
    asked = _run(cwd, *args)
    return asked.stdout.strip() if asked is not None and asked.returncode == 0 else None


def _run(cwd: Path, *args: str) -> subprocess.CompletedProcess[str] | None:
    try:
        # Without optional locks, or `git status` writes what it has found into the index.
        return subprocess.run(
            ["git", "--no-optional-locks", *args],
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired, UnicodeDecodeError):
        return None
