"""Which systems this machine builds for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nix_repro.errors import UsageError
from nix_repro.plan.scope import Plan
from nix_repro.run import Run


def _refuse_other_systems(run: Run, plan: Plan) -> None:
    """An installable for another system cannot be built twice here: said before anything is built."""
    settings = run.nix.settings()
    here = _systems(settings)
    for attr, drv_path in plan.installables.items():
        system = plan.derivations[drv_path].system
        if system not in here and not _has_builders(str(settings.get("builders", ""))):
            raise UsageError(f"{attr}: it is for {system}, and this machine builds for {settings['system']}")


def _systems(settings: Mapping[str, Any]) -> set[str]:
    return {settings["system"], *settings.get("extra-platforms", []), "builtin"}


def _has_builders(setting: str) -> bool:
    """The default names a file that is rarely there."""
    return any(Path(word[1:]).is_file() if word.startswith("@") else True for word in setting.split())
