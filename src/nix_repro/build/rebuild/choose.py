"""Which rebuilder a run uses, and why another one cannot be used."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from nix_repro.build.rebuild.nix_check import NixCheck
from nix_repro.build.rebuild.protocol import Rebuilder
from nix_repro.build.rebuild.reach import refuse_unusable
from nix_repro.build.rebuild.replace import Replace
from nix_repro.build.rebuild.shadow import Shadow, permit
from nix_repro.build.rebuild.store import Store
from nix_repro.errors import UsageError
from nix_repro.nix.command import Nix, NixError
from nix_repro.nix.machine import in_ci

HOOK = (
    "Nix has a post-build-hook, and this user is not trusted to switch it off: a rebuild in this store would be "
    "published. "
    "Add the user to trusted-users, or use the shadow rebuilder (root or sudo)"
)


@dataclass(frozen=True)
class Choice:
    """The rebuilder by name, or the URL of the store that is one, and what the user should know about it."""

    rebuilder: str
    warning: str | None = None


@dataclass(frozen=True)
class Refusal:
    """Why the wanted rebuilder, or any at all, cannot work here."""

    reason: str


def decide(wanted: str, *, shadow: str | None, hooked: bool, ci: bool) -> Choice | Refusal:
    """The rebuilder by name, or for `auto` the first that works: shadow, replace (in CI only), nix-check.

    `shadow` is why the shadow rebuilder cannot be used, None when it can. `hooked`: what is built in this store is
    published, whatever we say. `ci`: nobody else works with this store.
    """
    match wanted:
        case "auto" if shadow is None:
            return Choice("shadow")
        case "auto" if hooked:
            return Refusal(f"no rebuilder works here. shadow: {shadow}. Others: {HOOK}")
        case "auto" if ci:
            return Choice("replace")
        case "auto":
            return Choice(
                "nix-check",
                "rebuilding with nix --check, which sees the first differing output only: "
                f"the shadow rebuilder cannot be used ({shadow}). "
                "`--rebuilder shadow` asks sudo for it, `--rebuilder replace` deletes and rebuilds in the store",
            )
        case "shadow" if shadow is not None:
            return Refusal(f"rebuilder shadow: {shadow}")
        case "replace" | "nix-check" if hooked:
            return Refusal(f"rebuilder {wanted}: {HOOK}")
    return Choice(wanted)


def ruled_out(platform: str, *, root: bool, sudo: bool, may_sudo: bool) -> str | None:
    """Why the shadow rebuilder need not even be tried, or None. `sudo`: there is one; `may_sudo`: it may be used."""
    if platform != "linux":
        return "it needs Linux"
    if not root and not may_sudo:
        return "it needs root, and sudo is used unasked only in CI"
    if not root and not sudo:
        return "it needs root, and there is no sudo"
    return None


def choose(
    wanted: str, nix: Nix, environ: Mapping[str, str], release: Callable[[], None], warn: Callable[[str], None]
) -> Rebuilder:
    """The rebuilder that `decide` decides on. `release` drops the roots that the run itself holds on the targets.

    Raises `UsageError` with the reason when the wanted one, or none at all, can work here.
    """
    ci, root = in_ci(environ), os.getuid() == 0
    shadow = None
    if wanted in ("auto", "shadow"):
        may_sudo = ci or wanted == "shadow"
        shadow = ruled_out(sys.platform, root=root, sudo=shutil.which("sudo") is not None, may_sudo=may_sudo)
        # Tried out, not guessed: containers differ in what they forbid.
        shadow = shadow or permit(nix.env, sudo=not root)
    hooked = bool(nix.settings().get("post-build-hook")) and not nix.trusted()
    chosen = decide(wanted, shadow=shadow, hooked=hooked, ci=ci)
    if isinstance(chosen, Refusal):
        raise UsageError(chosen.reason)
    if chosen.warning is not None:
        warn(chosen.warning)
    match chosen.rebuilder:
        case "shadow":
            return Shadow(nix, sudo=not root)
        case "replace":
            return Replace(nix, release, NixCheck(nix), warn)
        case "nix-check":
            return NixCheck(nix)
        case url:
            try:
                refuse_unusable(nix, url)
                return Store(nix, url, warn)
            except NixError as error:
                raise UsageError(f"rebuilder {error}") from None
