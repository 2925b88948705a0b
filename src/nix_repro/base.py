"""What a run is compared with: the same installables at another revision, or the report of an earlier run."""

from __future__ import annotations

import filecmp
import os
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
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
#: Parts of an attribute path that may hold any character.
_UNQUOTED = re.compile(r'"[^"]*"')
FETCH_DEPTH = "fetch it (in a workflow: actions/checkout with `fetch-depth: 0`)"


@dataclass(frozen=True)
class Base:
    """`installables` maps those names of this run that can be compared to .drv paths of the base, None for what it does not
    have; `derivations` are all .drv paths of the base that are known. `files` are those that differ between the base and the
    checkout, None when not known; `old_lock` and `new_lock` are the texts of flake.lock."""

    name: str
    installables: Mapping[str, str | None]
    derivations: frozenset[str] = frozenset()
    files: frozenset[str] | None = None
    old_lock: str | None = None
    new_lock: str | None = None


def at_revision(
    nix: Nix, revision: str, installables: Sequence[str], named: Collection[str], cwd: Path, warn: Callable[[str], None]
) -> Base | None:
    """The base at a Git revision, or None with a warning that says why there is none. `named` are the names that this run has
    for the `installables`.

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
    mine = [name for name in named if not name.startswith("/") and "#" not in _UNQUOTED.sub("", name)]
    found: dict[str, str | None] = {}
    others: dict[str, str] = {}
    for installable in installables:
        where, hash_mark, attr = installable.partition("#")
        if where not in ("", ".", "all") or (where == "all" and hash_mark):
            warn(f"base {revision}: {installable} is not compared with it: it is not named as this repository's")
            continue
        attr = ("all" if where == "all" else attr or "default").partition("^")[0]
        same = mine if attr == "all" else [name for name in mine if name == attr or name.endswith(f".{attr}")]
        try:
            there = _named(flake, evaluate(nix, [f"{flake}#{attr}"], cwd))
        except UsageError as error:
            if not _absent(error):
                warn(f"base {revision}: {installable} cannot be evaluated there, and is not compared: {_reason(error)}")
                continue
            there = {}
        found |= {name: there.get(name) for name in same}
        others |= there
    if not found:
        return None
    if None in found.values():
        # What is new, or has a new name, may be made of what the base's other packages are made of.
        try:
            others |= _named(flake, evaluate(nix, [f"{flake}#all"], cwd))
        except UsageError:
            pass  # then that is new too
    prefix = cwd.resolve().relative_to(root.resolve()).as_posix()
    lock = "flake.lock" if prefix == "." else f"{prefix}/flake.lock"
    return Base(
        name=f"{revision} ({sha[:7]})",
        installables=found,
        derivations=_closure(nix, others.values()),
        files=_changed_files(root, sha, prefix),
        old_lock=git(root, "show", f"{sha}:{lock}"),
        new_lock=_text(root / lock),
    )


def _named(flake: str, evaluated: Mapping[str, str]) -> dict[str, str]:
    return {name.removeprefix(f"{flake}#"): drv_path for name, drv_path in evaluated.items()}


def _absent(error: UsageError) -> bool:
    return "does not provide attribute" in str(error) or "the flake has no " in str(error)


def _reason(error: UsageError) -> str:
    """Nix's last error: those before it say where it came to that."""
    rows = [line.strip() for line in str(error).splitlines() if line.strip()]
    return next((row.removeprefix("error:").strip() for row in reversed(rows) if re.match(r"error:\s*\S", row)), rows[-1])


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


def from_report(nix: Nix, report: Report, named: Iterable[str]) -> Base:
    """The base that an earlier run's report describes, and what lies below its derivations as far as it is in this store.
    `named` are the names of this run."""
    found = {attr: d.drv_path for d in report.derivations for attr in d.attrs}
    known = frozenset(d.drv_path for d in report.derivations)
    here = [path for path in known if _DRV.fullmatch(path) and Path(path).is_file()]
    installables = {name: found.get(name) for name in named}
    return Base(name=f"the report of {report.started}", installables=installables, derivations=known | _closure(nix, here))


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
