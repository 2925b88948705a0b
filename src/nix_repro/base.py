"""What a run is compared with: the same installables at another revision, or the report of an earlier run."""

from __future__ import annotations

import filecmp
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from nix_repro.checkout import git
from nix_repro.errors import UsageError
from nix_repro.evaluate import evaluate
from nix_repro.nix import Nix
from nix_repro.report import Report

#: Files compared of one pair of sources.
_FILES = 20_000
_DRV = re.compile(r"/[^\s\0]*/[0-9a-z]{32}-[A-Za-z0-9+._?=-]+\.drv")
FETCH_DEPTH = "fetch it (in a workflow: actions/checkout with `fetch-depth: 0`)"


@dataclass(frozen=True)
class Base:
    """`installables` maps names to .drv paths as this run names them; `derivations` are all .drv paths of the base that are
    known. `files` are those that differ between the base and the checkout, None when not known; `old_lock` and `new_lock`
    are the texts of flake.lock."""

    name: str
    installables: Mapping[str, str]
    derivations: frozenset[str] = frozenset()
    files: frozenset[str] | None = None
    old_lock: str | None = None
    new_lock: str | None = None


def at_revision(nix: Nix, revision: str, installables: Sequence[str], cwd: Path, warn: Callable[[str], None]) -> Base | None:
    """The base at a Git revision, or None with one warning that says why there is none.

    Nix reads the revision out of the repository's history: nothing is checked out, the work tree stays as it is.
    """
    top = git(cwd, "rev-parse", "--show-toplevel")
    commit = git(cwd, "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}")
    if not top:
        warn(f"base {revision}: there is no Git repository here; nothing is compared with it")
        return None
    if not commit:
        warn(f"base {revision}: that revision is not in this clone; {FETCH_DEPTH}. Nothing is compared with it")
        return None
    root, sha = Path(top), commit
    flake = _flake_url(root, sha, cwd)
    found: dict[str, str] = {}
    for installable in installables:
        where, hash_mark, attr = installable.partition("#")
        if where not in ("", ".", "all") or (where == "all" and hash_mark):
            continue
        attr = "all" if where == "all" else attr
        try:
            evaluated = evaluate(nix, [f"{flake}#{attr}"], cwd)
        except UsageError as error:
            # What is new has no base: that is an answer, and not a warning.
            if "does not provide attribute" not in str(error):
                warn(f"base {revision}: {installable} cannot be evaluated there: {str(error).splitlines()[-1].strip()}")
            continue
        found |= {name.removeprefix(f"{flake}#"): drv_path for name, drv_path in evaluated.items()}
    prefix = cwd.resolve().relative_to(root.resolve()).as_posix()
    lock = "flake.lock" if prefix == "." else f"{prefix}/flake.lock"
    return Base(
        name=f"{revision} ({sha[:7]})",
        installables=found,
        derivations=_closure(nix, found.values()),
        files=_changed_files(root, sha, prefix),
        old_lock=git(root, "show", f"{sha}:{lock}"),
        new_lock=_text(root / lock),
    )


def _closure(nix: Nix, drv_paths: Iterable[str]) -> frozenset[str]:
    return frozenset(path for path in nix.requisites(dict.fromkeys(drv_paths)) if path.endswith(".drv"))


def _flake_url(root: Path, sha: str, cwd: Path) -> str:
    inside = cwd.resolve().relative_to(root.resolve()).as_posix()
    url = f"git+file://{quote(str(root))}?rev={sha}"
    if (root / ".git" / "shallow").exists():
        url += "&shallow=1"
    return url if inside == "." else f"{url}&dir={quote(inside)}"


def _changed_files(root: Path, sha: str, prefix: str) -> frozenset[str] | None:
    """The tracked files that differ, as seen from the flake's directory."""
    text = git(root, "diff", "--name-only", "-z", "--no-renames", sha, "--")
    if text is None:
        return None
    start = "" if prefix == "." else f"{prefix}/"
    return frozenset(name.removeprefix(start) for name in text.split("\0") if name and name.startswith(start))


def from_report(nix: Nix, report: Report) -> Base:
    """The base that an earlier run's report describes, and what lies below its derivations as far as it is in this store."""
    found = {attr: d.drv_path for d in report.derivations for attr in d.attrs}
    named = frozenset(d.drv_path for d in report.derivations)
    here = [path for path in named if _DRV.fullmatch(path) and Path(path).is_file()]
    return Base(name=f"the report of {report.started}", installables=found, derivations=named | _closure(nix, here))


def differing_files(old: str | None, new: str | None) -> list[str] | None:
    """The files that differ between two sources in the store, in order; None when one is not there, or they are too large."""
    if old is None or new is None:
        return None
    a, b = Path(old), Path(new)
    if not (os.path.lexists(a) and os.path.lexists(b)):
        return None
    if not (a.is_dir() and b.is_dir()):
        return [b.name[33:]]
    left, right = _listing(a), _listing(b)
    if left is None or right is None:
        return None
    differing = left.keys() ^ right.keys()
    for name in left.keys() & right.keys():
        if left[name] != right[name] or (not (a / name).is_symlink() and not filecmp.cmp(a / name, b / name, shallow=False)):
            differing.add(name)
    return sorted(differing)


def _listing(top: Path) -> dict[str, str] | None:
    """Every file below a directory: its kind, with a link's target. None when there are too many."""
    found: dict[str, str] = {}
    for directory, directories, files in os.walk(top):
        for name in [*files, *(d for d in directories if os.path.islink(os.path.join(directory, d)))]:
            path = Path(directory, name)
            kind = f"link to {os.readlink(path)}" if path.is_symlink() else "program" if os.access(path, os.X_OK) else "file"
            found[path.relative_to(top).as_posix()] = kind
            if len(found) > _FILES:
                return None
    return found


def _text(file: Path) -> str | None:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None
