"""The checks together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from nix_repro.doctor import flake, installation, stores
from nix_repro.doctor.model import Diagnosis
from nix_repro.errors import UsageError
from nix_repro.nix.command import Nix, NixError
from nix_repro.nix.machine import in_ci
from nix_repro.nix.secrets import cut_all


def cheap(nix: Nix, environ: Mapping[str, str], cwd: Path) -> list[Diagnosis]:
    """The checks that cost next to nothing: settings, the checkout, free space."""
    settings = nix.settings()
    return [
        installation.version(nix),
        installation.trusted(nix),
        installation.sandbox(settings),
        installation.keys(settings),
        installation.jobs(settings),
        *installation.space(nix, settings),
        *flake.lock(cwd),
        *flake.tree(cwd),
        *flake.depth(cwd, environ),
    ]


def thorough(nix: Nix, environ: Mapping[str, str], cwd: Path, installables: Sequence[str]) -> list[Diagnosis]:
    """The checks that ask a network, the whole store, or evaluate."""
    found = stores.substituters(nix.settings())
    if in_ci(environ):
        found.append(stores.magic(nix.settings()))
    return [*found, *stores.store(nix), *stores.closures(nix, cwd, installables)]


def urgent(nix: Nix, environ: Mapping[str, str], cwd: Path) -> list[str]:
    """The cheap checks' problems, for a run that works all the same, in one line each."""
    rows = [row for row in cheap(nix, environ, cwd) if row.state == "problem"]
    return [f"{row.check}: {row.found}. To do: {row.fix}" for row in rows]


def diagnose(nix: Nix, environ: Mapping[str, str], cwd: Path, installables: Sequence[str]) -> list[Diagnosis]:
    """Every check. Raises `UsageError` when there is no Nix that says anything."""
    try:
        version, *others = cheap(nix, environ, cwd)
        # A run has the features that it needs, and a way to build or an error of its own.
        people = [*installation.features(nix, environ), installation.daemon(nix, environ)]
        found = [version, *people, *others, *thorough(nix, environ, cwd, installables)]
        return [cut_all(row) for row in found]
    except NixError as error:
        raise UsageError(str(error)) from None
