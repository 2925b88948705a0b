"""The setting of what is held different between a build and its rebuild."""

from __future__ import annotations

from nix_repro.build.variations import ALL, DEFAULT, NAMED
from nix_repro.settings import Setting, fail, words


def vary(setting: Setting) -> tuple[str, ...]:
    """The names of variations: those of `default` or `all`, none, or a list of them."""
    found = words(setting)
    for name, meant in (("default", DEFAULT), ("all", ALL), ("none", ())):
        if found == (name,):
            return meant
    if not found or not set(found) <= set(NAMED):
        raise fail(setting, f"default, all, none, or a list of {', '.join(NAMED)}")
    return tuple(dict.fromkeys(found))
