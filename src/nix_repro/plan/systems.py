"""Which systems this machine builds for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nix_repro.errors import UsageError
from nix_repro.plan.scope import Plan


def refuse_other_systems(plan: Plan, settings: Mapping[str, Any]) -> None:
    """Raise `UsageError` for an installable of another system, which cannot be built twice here, before anything is
    built. `settings` are Nix's."""
    here = systems(settings)
    for attr, drv_path in plan.installables.items():
        system = plan.derivations[drv_path].system
        if system not in here and not _has_builders(str(settings.get("builders", ""))):
            raise UsageError(f"{attr}: it is for {system}, and this machine builds for {settings['system']}")


def systems(settings: Mapping[str, Any]) -> set[str]:
    """What Nix with these settings builds for by itself; `builtin` is what it builds without a builder."""
    return {settings["system"], *settings.get("extra-platforms", []), "builtin"}


def _has_builders(setting: str) -> bool:
    """The default names a file that is rarely there."""
    return any(Path(word[1:]).is_file() if word.startswith("@") else True for word in setting.split())
