"""What a flake's `nixConfig` says, and what becomes of it: evaluation goes by it where Nix trusts it, a build of a
derivation never does. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection

from nix_repro.text import some

#: Text and comments of Nix's language, in which nothing is a setting.
_QUIET = re.compile(r"\"(?:[^\"\\]|\\.)*\"|''(?:[^']|'(?!')|'''|''\$|''\\.)*''|#[^\n]*|/\*.*?\*/", re.DOTALL)
_DOTTED = re.compile(r"\bnixConfig\s*\.\s*([a-z][a-z0-9-]*)\s*=")
_BLOCK = re.compile(r"\bnixConfig\s*=\s*\{([^{}]*)\}")
_NAME = re.compile(r"(?:^|;)\s*([a-z][a-z0-9-]*)\s*=")
#: What has nothing to do with builds, so that Nix takes it from any flake.
_HARMLESS = re.compile(r"bash-prompt(?:-prefix|-suffix)?|flake-registry|commit-lock-?file-summary")


def settings_of(flake: str) -> list[str]:
    """The settings that the text of a flake.nix has in `nixConfig`, in order."""
    text = _QUIET.sub(lambda found: " " if found[0][0] in "#/" else "''", flake)
    found = [*_DOTTED.findall(text), *(name for block in _BLOCK.findall(text) for name in _NAME.findall(block))]
    return [name for name in dict.fromkeys(found) if not _HARMLESS.fullmatch(name)]


def told(flake: str | None, ignored: Collection[str]) -> str | None:
    """What to say of a flake's `nixConfig`: `flake` is the text of flake.nix where it is known, `ignored` what Nix said
    it does not trust. None when there is nothing to say."""
    remedy = "What builds need of it belongs into nix.conf, or into `options` (`--option`, the input `nix-options`)"
    if ignored:
        names = some(sorted(ignored), 5)
        return (
            f"Nix does not trust the flake's nixConfig: {names} count neither for evaluation nor for builds. {remedy}"
        )
    if flake is not None and (there := settings_of(flake)):
        return f"the flake's nixConfig counts for evaluation only, and not for builds: {some(there, 5)}. {remedy}"
    return None
