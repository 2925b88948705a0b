"""Which rebuilder a run uses, and why another one cannot be used."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Mapping

from nix_repro.build.rebuild.nix_check import NixCheck
from nix_repro.build.rebuild.protocol import Rebuilder
from nix_repro.build.rebuild.replace import Replace
from nix_repro.build.rebuild.shadow import Shadow, permit
from nix_repro.build.rebuild.store import Store
from nix_repro.errors import UsageError
from nix_repro.nix.command import Nix
from nix_repro.nix.machine import in_ci

HOOK = (
    "Nix has a post-build-hook, and this user is not trusted to switch it off: a rebuild in this store would be "
    "published. "
    "Add the user to trusted-users, or use the shadow rebuilder (root or sudo)"
)


def choose(
    wanted: str, nix: Nix, environ: Mapping[str, str], release: Callable[[], None], warn: Callable[[str], None]
) -> Rebuilder:
    """The rebuilder by name, or for `auto` the first that works: shadow, replace (in CI only), nix-check.

    Raises `UsageError` with the reason when the wanted one, or none at all, can work here.
    """
    hooked = bool(nix.settings().get("post-build-hook")) and not nix.trusted()
    check = NixCheck(nix)
    match wanted:
        case "auto":
            may_sudo = in_ci(environ)
            refused = shadow_refusal(may_sudo, nix.env)
            if refused is None:
                return Shadow(nix, sudo=os.getuid() != 0)
            if hooked:
                raise UsageError(f"no rebuilder works here. shadow: {refused}. Others: {HOOK}")
            if in_ci(environ):
                return Replace(nix, release, check, warn)
            warn(
                "rebuilding with nix --check, which sees the first differing output only: "
                f"the shadow rebuilder cannot be used ({refused}). "
                "`--rebuilder shadow` asks sudo for it, `--rebuilder replace` deletes and rebuilds in the store"
            )
            return check
        case "shadow":
            if (refused := shadow_refusal(True, nix.env)) is not None:
                raise UsageError(f"rebuilder shadow: {refused}")
            return Shadow(nix, sudo=os.getuid() != 0)
        case "replace" | "nix-check":
            if hooked:
                raise UsageError(f"rebuilder {wanted}: {HOOK}")
            return check if wanted == "nix-check" else Replace(nix, release, check, warn)
        case url:
            return Store(nix, url)


def shadow_refusal(may_sudo: bool, env: Mapping[str, str]) -> str | None:
    """Why the shadow rebuilder cannot work here, or None. Tried out, not guessed: containers differ in what they
    forbid."""
    if sys.platform != "linux":
        return "it needs Linux"
    if os.getuid() != 0 and not may_sudo:
        return "it needs root, and sudo is used unasked only in CI"
    if os.getuid() != 0 and shutil.which("sudo") is None:
        return "it needs root, and there is no sudo"
    return permit(env, sudo=os.getuid() != 0)
