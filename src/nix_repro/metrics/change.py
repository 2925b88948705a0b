"""What a change was: which inputs flake.lock was moved to, and whether it had to rebuild everything, a part, or
nothing. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any

import msgspec

from nix_repro.nix.checkout import CONFIGURATION_FILE
from nix_repro.plan.against import Against
from nix_repro.plan.compare import Comparison, Root
from nix_repro.plan.sources import UNNAMED
from nix_repro.report import ChangeClass, LockChange
from nix_repro.text import plural, some

#: Files that no build result should depend on.
_TEXT = re.compile(
    r"(?:^|/)(?:README|CHANGELOG|CHANGES|CONTRIBUTING|CODE_OF_CONDUCT|SECURITY|AUTHORS|LICEN[CS]E|COPYING|NOTICE)"
    r"(?:-[A-Za-z0-9.]+)?(?:\.(?:md|markdown|rst|txt|adoc|org))?$",
    re.IGNORECASE,
)
#: Derivations that are made of prose: to them it is source.
_PROSE = re.compile(
    r"(?:^|[-_.])(?:docs?|documentation|manual|book|handbook|website|site|readme|changelog)(?:$|[-_.\d])", re.IGNORECASE
)
_IDLE_NAMES = {".gitignore", ".gitattributes", ".editorconfig", ".envrc", ".mailmap", CONFIGURATION_FILE, "CODEOWNERS"}
_IDLE_DIRECTORIES = {".github", ".gitlab", ".circleci", ".forgejo", ".gitea", ".vscode", ".idea", "docs", "doc"}
#: What everything else is built with: another version of it rebuilds whatever uses it.
_TOOLCHAIN = re.compile(
    r"^(?:stdenv|bash|python3?|pypy3?|nodejs|node|ruby|perl|php|lua|go|rustc|cargo|gcc|clang|llvm|binutils|glibc|musl|ghc|openjdk|jdk|jre|dotnet"
    r"|erlang|elixir|ocaml|zig|coreutils)(?:-|$)"
)
_ORDER: tuple[ChangeClass, ...] = ("full", "partial", "none")


@dataclass(frozen=True)
class ChangeContext:
    """What the classes depend on besides the derivations: the files that changed in the repository (None: not known),
    the lock's changes, and the repository's own derivations."""

    files: Collection[str] | None = None
    lock: Sequence[LockChange] = ()
    own: Collection[str] = ()


def idle(path: str) -> bool:
    """Is this a file that no build result should depend on: prose, workflows, editors' settings?"""
    parts = PurePosixPath(path).parts
    return bool(_TEXT.search(path)) or path.endswith(".md") or parts[-1] in _IDLE_NAMES or parts[0] in _IDLE_DIRECTORIES


def classify(root: Root, files: Sequence[str] | None, context: ChangeContext) -> ChangeClass:
    """The class of one root change; `files` are those that differ when it is a source, None when nobody can tell.

    full: another lock, interpreter, compiler or builder; partial: source or configuration; none: what should have
    rebuilt nothing.
    """
    if root.kind == "source":
        if files and all(map(idle, files)) and not _PROSE.search(root.drv_name):
            return "none"
        return (
            "full"
            if files and "flake.lock" in files and all(f == "flake.lock" or idle(f) for f in files)
            else "partial"
        )
    if context.lock and context.files is not None and not any(path.endswith(".nix") for path in context.files):
        return "full"
    toolchain = root.kind == "input" and _TOOLCHAIN.match(root.name)
    if (
        root.kind in ("builder", "system")
        or toolchain
        or root.drv_path not in context.own
        or _TOOLCHAIN.match(root.drv_name)
    ):
        return "full"
    return "partial"


@dataclass(frozen=True)
class Classified:
    """A comparison with a base, classified: each root change, the whole, and the lock's changes."""

    roots: Mapping[Root, ChangeClass]
    whole: ChangeClass
    lock: tuple[LockChange, ...]


def classify_all(against: Against, own: Collection[str]) -> Classified:
    """Every root change of a comparison with its class. `own` are the repository's own derivations."""
    base, comparison = against.base, against.comparison
    lock = lock_changes(base.old_lock, base.new_lock) if base.files is not None else []
    context = ChangeContext(base.files, lock, own)
    each = {root: classify(root, files, context) for root, files in against.files.items()}
    # A derivation is built for all that differs of it.
    more = {other for others in comparison.beside.values() for other in others}
    roots = {
        root: worst([found, *(each[other] for other in comparison.beside.get(root, ()))], new=False)
        for root, found in each.items()
        if root not in more
    }
    whole = worst(roots.values(), new=None in comparison.pairs.values())
    return Classified(roots, whole, with_blast(lock, comparison, roots))


def worst(classes: Collection[ChangeClass], *, new: bool) -> ChangeClass:
    """The class of a change that consists of several; `new` derivations are a part of everything. None when it touched
    no derivation."""
    return min([*classes, *(("partial",) if new else ())], key=_ORDER.index, default="none")


def lock_changes(old: str | None, new: str | None) -> list[LockChange]:
    """Which inputs another revision is locked for, from the texts of two flake.lock files; unreadable ones have none.

    Inputs of inputs are named by the way to them (`utils/systems`): the lock's own names for them (`systems_2`) are
    dealt out anew whenever an input comes or goes. An input that follows another is that one.
    """
    before, after = _nodes(old), _nodes(new)
    found: list[LockChange] = []
    for name in sorted({*before, *after}):
        a, b = before.get(name, {}), after.get(name, {})
        if (a.get("narHash"), _revision(a)) != (b.get("narHash"), _revision(b)):
            found.append(
                LockChange(input=name, old_rev=_revision(a), new_rev=_revision(b), old_date=_date(a), new_date=_date(b))
            )
    return found


def _nodes(text: str | None) -> dict[str, dict[str, Any]]:
    """What each input is locked for, by its name; each node of the lock once, so that none can go round in a circle."""
    found: dict[str, dict[str, Any]] = {}
    try:
        lock = json.loads(text or "{}")
        nodes, root = lock.get("nodes", {}), lock.get("root", "root")
        seen, level = {root}, [("", root)]
        while level:
            below: list[tuple[str, str]] = []
            for way, name in level:
                for key, target in nodes.get(name, {}).get("inputs", {}).items():
                    if isinstance(target, str) and target not in seen:
                        seen.add(target)
                        below.append((f"{way}{key}/", target))
            found |= {
                way[:-1]: nodes[name]["locked"] for way, name in below if isinstance(nodes[name].get("locked"), dict)
            }
            level = below
    except (ValueError, AttributeError, KeyError, TypeError, RecursionError):
        return {}
    return found


def _revision(locked: Mapping[str, Any]) -> str | None:
    found = locked.get("rev") or locked.get("narHash")
    return str(found)[:100] if found else None


def _date(locked: Mapping[str, Any]) -> str | None:
    stamp = locked.get("lastModified")
    if not isinstance(stamp, int) or not 0 < stamp < 1 << 33:
        return None
    return datetime.fromtimestamp(stamp, UTC).date().isoformat()


def with_blast(
    lock: Sequence[LockChange], comparison: Comparison, classes: Mapping[Root, ChangeClass]
) -> tuple[LockChange, ...]:
    """The lock's changes with how many derivations changed for them, when only one input did and it can be told."""
    if len(lock) != 1:
        return tuple(lock)
    touched = sum(count for root, count in comparison.blast().items() if classes[root] == "full")
    return (msgspec.structs.replace(lock[0], derivations=touched),)


def lock_line(change: LockChange) -> str:
    """`nixpkgs 4f2e→9a1c (2026-01-02 → 2026-03-04): 214 derivations`."""
    old, new = (rev.removeprefix("sha256-")[:7] for rev in (change.old_rev or "new", change.new_rev or "removed"))
    revs = f"{old}→{new}"
    dates = f" ({change.old_date} → {change.new_date})" if change.old_date and change.new_date else ""
    blast = f": {plural(change.derivations, 'derivation')}" if change.derivations is not None else ""
    return f"{change.input} {revs}{dates}{blast}"


def idle_finding(files: Sequence[str], names: Sequence[str], sources: Collection[str]) -> str:
    """Files that should rebuild nothing did: which, what they rebuilt, and how to keep them out. `sources` are the
    names of what they are part of."""
    (first, *more) = sorted(set(sources))
    where = "their sources" if more else "the source" if first == UNNAMED else f"the source {first}"
    return (
        f"{some(files)} changed, which should rebuild nothing, and rebuilt {some(names)}: part of {where}. "
        "Name what is needed: "
        "src = lib.fileset.toSource { root = ./.; fileset = lib.fileset.unions [ ./src ./Cargo.toml ]; }; (with your "
        "own files)"
    )
