"""What a run is compared with: the same installables at another revision, or the report of an earlier run."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from nix_repro.errors import UsageError
from nix_repro.files import read_regular
from nix_repro.nix.caches.resilient import Realiser
from nix_repro.nix.checkout import git
from nix_repro.nix.command import Nix
from nix_repro.nix.secrets import cut
from nix_repro.nix.store_path import is_derivation
from nix_repro.plan.changed import changed_files
from nix_repro.plan.installables import evaluate
from nix_repro.report import Report
from nix_repro.text import last_error

#: Parts of an attribute path that may hold any character.
_UNQUOTED = re.compile(r'"[^"]*"')
#: Bytes of a flake.lock.
LOCK_BYTES = 16 << 20
NO_REPOSITORY = "there is no Git repository here; nothing"
FETCH_DEPTH = "fetch it (in a workflow: actions/checkout with `fetch-depth: 0`)"


@dataclass(frozen=True)
class Base:
    """`installables` maps those names of this run that can be compared to .drv paths of the base, None for what it does
    not have; `derivations` are all .drv paths of the base that are known. `files` are those that differ between the
    base and the checkout, None when not known; `old_lock` and `new_lock` are the texts of flake.lock."""

    name: str
    installables: Mapping[str, str | None]
    derivations: frozenset[str] = frozenset()
    files: frozenset[str] | None = None
    old_lock: str | None = None
    new_lock: str | None = None


def at_revision(
    realiser: Realiser,
    revision: str,
    installables: Sequence[str],
    named: Collection[str],
    cwd: Path,
    warn: Callable[[str], None],
) -> Base | None:
    """The base at a Git revision, or None with a warning that says why there is none. `named` are the names that this
    run has for the `installables`.

    Nix reads the revision out of the repository's history: nothing is checked out, the work tree stays as it is.
    """
    top = git(cwd, "rev-parse", "--show-toplevel")
    sha = git(cwd, "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}")
    if not (top and sha):
        missing = f"that revision is not in this clone; {FETCH_DEPTH}. Nothing" if top else NO_REPOSITORY
        warn(f"base {revision}: {missing} is compared with it")
        return None
    root = Path(top)
    flake = flake_url(root, sha, cwd, shallow=(root / ".git" / "shallow").exists())
    found: dict[str, str | None] = {}
    others: dict[str, str] = {}
    for installable in installables:
        attr = attribute(installable)
        if attr is None:
            warn(f"base {revision}: {installable} is not compared with it: it is not named as this repository's")
            continue
        try:
            there = _named(flake, evaluate(realiser, [f"{flake}#{attr}"], cwd))
        except UsageError as error:
            there = {}
            if not absent(error):
                said = last_error(str(error))
                warn(f"base {revision}: {installable} cannot be evaluated there, and is not compared: {said}")
                continue
        found |= {name: there.get(name) for name in counterparts(attr, named)}
        others |= there
    if not found:
        return None
    if None in found.values():
        # What is new, or has a new name, may be made of what the base's other packages are made of.
        with suppress(UsageError):
            others |= _named(flake, evaluate(realiser, [f"{flake}#all"], cwd))
    prefix = _below(root, cwd)
    lock = "flake.lock" if prefix == "." else f"{prefix}/flake.lock"
    return Base(
        name=f"{revision} ({sha[:7]})",
        installables=found,
        derivations=_closure(realiser.nix, others.values()),
        files=changed_files(root, sha, prefix),
        old_lock=git(root, "show", f"{sha}:{lock}"),
        new_lock=_text(root / lock, root),
    )


def attribute(installable: str) -> str | None:
    """The attribute of this repository's flake that an installable names, `all` for all of them; None when it names
    something else."""
    where, hash_mark, attr = installable.partition("#")
    if where == "all" and not hash_mark:
        return "all"
    return (attr or "default").partition("^")[0] if where in ("", ".") else None


def counterparts(attr: str, named: Iterable[str]) -> list[str]:
    """Which of a run's names for its installables an attribute of the base may be the counterpart of. Other flakes' and
    .drv files have none."""
    mine = [name for name in named if not name.startswith("/") and "#" not in _UNQUOTED.sub("", name)]
    return mine if attr == "all" else [name for name in mine if name == attr or name.endswith(f".{attr}")]


def absent(error: UsageError) -> bool:
    """Whether an evaluation failed only because the attribute is not there."""
    return "does not provide attribute" in str(error) or "the flake has no " in str(error)


def flake_url(root: Path, sha: str, cwd: Path, *, shallow: bool) -> str:
    """The flake of `cwd` as it was at a commit of the repository at `root`."""
    inside = _below(root, cwd)
    url = f"git+file://{quote(str(root))}?rev={sha}" + ("&shallow=1" if shallow else "")
    return url if inside == "." else f"{url}&dir={quote(inside)}"


def _below(root: Path, cwd: Path) -> str:
    return cwd.resolve().relative_to(root.resolve()).as_posix()


def _named(flake: str, evaluated: Mapping[str, str]) -> dict[str, str]:
    return {name.removeprefix(f"{flake}#"): drv_path for name, drv_path in evaluated.items()}


def _closure(nix: Nix, drv_paths: Iterable[str]) -> frozenset[str]:
    return frozenset(path for path in nix.requisites(dict.fromkeys(drv_paths)) if path.endswith(".drv"))


def from_report(nix: Nix, report: Report, named: Iterable[str]) -> Base:
    """The base that an earlier run's report describes, and what lies below its derivations as far as it is in this
    store. `named` are the names of this run."""
    found = {attr: d.drv_path for d in report.derivations for attr in d.attrs}
    known = frozenset(d.drv_path for d in report.derivations)
    here = [path for path in known if is_derivation(path) and Path(path).is_file()]
    # A report names no credentials, which this run's names for other flakes may.
    installables = {name: found.get(cut(name)) for name in named}
    return Base(
        name=f"the report of {report.started}", installables=installables, derivations=known | _closure(nix, here)
    )


def committed(file: Path, cwd: Path) -> bool:
    """Whether a file is as the commit has it that is checked out."""
    paths = [os.path.relpath(file.resolve(), cwd.resolve())]
    known = git(cwd, "ls-files", "--error-unmatch", paths=paths) is not None
    return known and git(cwd, "diff", "--name-only", "HEAD", paths=paths) == ""


def _text(file: Path, root: Path) -> str | None:
    try:
        return read_regular(file, LOCK_BYTES, inside=root).decode("utf-8")
    except (UsageError, UnicodeDecodeError):
        return None
