"""What a configuration file may not lead to: files outside the workspace, programs in it, hosts and stores that it
dresses up. Whoever starts a run may name all of these in a flag or an input."""

from __future__ import annotations

import re
from pathlib import Path

from nix_repro.config import ConfigLayer
from nix_repro.errors import UsageError
from nix_repro.nix.options import harmless
from nix_repro.settings import REBUILDERS, Setting, installables, options, shown, words

#: Caches that are asked over the network, and not by way of a program that takes arguments from the address.
_CACHE = re.compile(r"(https?|s3)://[^\s@]+")
_HOST = re.compile(r"ssh(-ng)?://([A-Za-z0-9_][A-Za-z0-9_.-]*@)?[A-Za-z0-9][A-Za-z0-9.-]*(:[0-9]{1,5})?")
_LOCAL = re.compile(r"local\?root=([^&#?]+)")
_FLAKE = re.compile(r"(?:(?:(?:git|hg|tarball|file)\+)?(?:file|path):(?://)?)?([^#?^]*)")


def refuse_weakening(layer: ConfigLayer) -> None:
    """Raise `UsageError` for Nix settings that nobody should take over from a clone that somebody else may have
    written."""
    if (setting := layer.get("options")) is None:
        return
    for name, value in options(setting):
        if not harmless(name, value):
            raise UsageError(
                f"{setting.where}: {name} counts in a workflow's file only, where it is known who may have written it; "
                f"here, give it as a flag: --option {name} VALUE"
            )


def confine(layer: ConfigLayer, cwd: Path, top: Path) -> None:
    """Raise `UsageError` for a setting that leads out of `top`, also by a link. Paths are relative to `cwd`."""
    for key, setting in layer.items():
        if key in ("history", "base_report") and isinstance(setting.value, str):
            _inside(setting, setting.value, cwd, top)
        elif key == "installables":
            for word in installables(setting):
                path = _FLAKE.match(word)
                if path is not None and (path[1].startswith((".", "/", "~")) or path[0] != path[1]):
                    _inside(setting, path[1] or ".", cwd, top, directory=True)
        elif key == "rebuilder":
            _rebuilder(setting, cwd, top)
        elif key == "diffoscope" and "/" in str(setting.value):
            raise UsageError(f"{setting.where}: {shown(setting.value)}: a program's path belongs into the flag")
        elif key == "upstream_caches":
            for word in words(setting):
                if word != "none" and not _CACHE.fullmatch(word):
                    raise UsageError(f"{setting.where}: {shown(word)}: a file may name caches on the web only")


def _rebuilder(setting: Setting, cwd: Path, top: Path) -> None:
    value = str(setting.value)
    if value in REBUILDERS or _HOST.fullmatch(value):
        return
    if (local := _LOCAL.fullmatch(value)) is None:
        raise UsageError(f"{setting.where}: {shown(value)}: a file may name ssh-ng://HOST and local?root=DIR only")
    _inside(setting, local[1], cwd, top, directory=True)


def _inside(setting: Setting, value: str, cwd: Path, top: Path, *, directory: bool = False) -> None:
    try:
        target, real_top = (cwd / value).resolve(), top.resolve()
    except (OSError, RuntimeError):
        raise UsageError(f"{setting.where}: {shown(value)} cannot be looked at") from None
    if directory and target.is_relative_to("/nix/store"):
        return
    if not target.is_relative_to(real_top) or ".git" in target.relative_to(real_top).parts:
        raise UsageError(f"{setting.where}: {shown(value)} is outside of the checkout, where a flag alone may lead")
    if not directory and target.exists() and not target.is_file():
        raise UsageError(f"{setting.where}: {shown(value)} is no regular file")
