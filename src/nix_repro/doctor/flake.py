"""The flake and its checkout: the lock, the work tree, the depth of the clone."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from nix_repro.doctor.model import Diagnosis, note, ok, problem
from nix_repro.errors import UsageError
from nix_repro.files import read_regular
from nix_repro.nix.checkout import CONFIGURATION_FILE, git
from nix_repro.nix.machine import in_ci
from nix_repro.plan.base import LOCK_BYTES
from nix_repro.text import plural, some

#: Days after which a locked input is worth a word.
OLD_LOCK = 90
#: Files that evaluation and builds read, so that an untracked one is missed.
_DATA = (".nix", ".toml", ".lock", ".json", ".yml", ".yaml", ".cabal", ".mod", ".sum")
_MATTERS = (*_DATA, ".py", ".rs", ".go", ".c", ".h", ".hs", ".sh")
#: How a report and a history begin, without spaces.
_WRITTEN = (b'{"version":1,"tool":"nix-repro', b'{"version":1,"runs":[{"started":')
#: Bytes of a flake.nix.
_FLAKE_BYTES = 4 << 20
_COMMENT = re.compile(r"#[^\n]*|/\*.*?\*/", re.DOTALL)
_INPUTS = re.compile(r"\binputs\s*(?:=|\.)")


def lock(cwd: Path) -> list[Diagnosis]:
    """Whether every input is pinned, committed and recent."""
    if not (cwd / "flake.nix").is_file():
        return []
    lock = cwd / "flake.lock"
    if not os.path.lexists(lock):
        return _no_lock(cwd)
    try:
        nodes = json.loads(read_regular(lock, LOCK_BYTES, inside=cwd)).get("nodes", {})
        dates = {
            name: node["locked"]["lastModified"]
            for name, node in nodes.items()
            if _is_time(node.get("locked", {}).get("lastModified"))
        }
    except (UsageError, RecursionError, ValueError, AttributeError, KeyError, TypeError) as error:
        return [problem("flake.lock", f"it cannot be read: {error}", "restore it from git")]
    repository = git(cwd, "rev-parse", "--git-dir")
    if repository is not None and git(cwd, "ls-files", "--error-unmatch", paths=["flake.lock"]) is None:
        return [problem("flake.lock", "it is not committed", "git add flake.lock && git commit")]
    now = time.time()
    old = {name: (now - at) / 86400 for name, at in dates.items() if now - at > OLD_LOCK * 86400}
    if old:
        worst = ", ".join(
            f"{name} {days:.0f} days" for name, days in sorted(old.items(), key=lambda item: -item[1])[:3]
        )
        return [
            note(
                "flake.lock",
                f"old inputs: {worst}",
                "nix flake update NAME, in a commit of its own: it rebuilds everything once",
            )
        ]
    newest = max(dates.values(), default=None)
    said = "" if newest is None else f", newest input of {datetime.fromtimestamp(newest, UTC).date()}"
    return [ok("flake.lock", f"committed{said}")]


def _no_lock(cwd: Path) -> list[Diagnosis]:
    try:
        text = read_regular(cwd / "flake.nix", _FLAKE_BYTES, inside=cwd).decode("utf-8", "replace")
    except UsageError as error:
        return [problem("flake.nix", str(error), "it has to be a file of the repository")]
    if not _INPUTS.search(_COMMENT.sub("", text)):
        return [ok("flake.lock", "none, and the flake has no inputs")]
    fix = "nix flake lock, and commit it: without it every run may build something else"
    return [problem("flake.lock", "it is missing", fix)]


def _is_time(value: object) -> bool:
    """Whether it is seconds since the epoch, in this millennium or so."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 36


def tree(cwd: Path) -> list[Diagnosis]:
    """Whether Nix sees the files that are here, and whether they are the commit's."""
    status = git(cwd, "status", "--porcelain", "-z", "--untracked-files=all", paths=["."])
    if status is None:
        return []
    rows = [row for row in status.split("\0") if len(row) > 3 or row[:2].strip()]
    top = Path(git(cwd, "rev-parse", "--show-toplevel") or cwd)
    rows = [row for row in rows if not _ours(top / row[3:])]
    untracked = [row[3:] for row in rows if row.startswith("??") and row.endswith(_MATTERS)]
    dirty = [row for row in rows if not row.startswith("??")]
    found: list[Diagnosis] = []
    if untracked:
        fix = "git add them (a commit is not needed), or list them in .gitignore"
        found.append(problem("untracked files", f"Nix does not see {some(untracked)}", fix))
    if dirty:
        found.append(
            note(
                "work tree",
                f"{plural(len(dirty), 'file differs', 'files differ')} from the commit: what is built is no commit's",
                "commit or stash",
            )
        )
    return found or [ok("work tree", "clean")]


def _ours(path: Path) -> bool:
    """Is this no part of what is built, but what this program goes by or has written: its configuration, a report, a
    history?"""
    if path.name == CONFIGURATION_FILE:
        return True
    if path.suffix != ".json":
        return False
    try:
        with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
            return b"".join(file.read(128).split()).startswith(_WRITTEN)
    except OSError:
        return False


def depth(cwd: Path, environ: Mapping[str, str]) -> list[Diagnosis]:
    """Whether the history is there that a comparison needs."""
    if git(cwd, "rev-parse", "--is-shallow-repository") != "true":
        return []
    fix = "actions/checkout with `fetch-depth: 0`: --base and --since need the history"
    return (
        [note("fetch-depth", "the clone is shallow", fix)] if in_ci(environ) else [ok("fetch-depth", "a shallow clone")]
    )
