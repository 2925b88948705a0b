"""What is known of where and when a build ran: the one maker of a `Side`, for a run's own builds and for a report's."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from nix_repro.build.variations import BUILD_DIR, Condition
from nix_repro.explain.context import Side


def surroundings(environment: Mapping[str, object], *, host: str | None = None, cpu: str | None = None) -> Side:
    """What all builds of a run have in common, from the report's `environment`: everything but when they ran. The
    report names neither host nor processor."""
    cpus, cores = _whole(environment.get("cpus")), _whole(environment.get("nix cores"))
    sandboxed = str(environment.get("nix sandbox")).lower() == "true"
    return Side(
        cores=cores or cpus,
        cpus=cpus,
        build_dir=(_text(environment.get("nix sandbox-build-dir")) or BUILD_DIR) if sandboxed else None,
        kernel=_text(environment.get("kernel")),
        host="localhost" if sandboxed else host,
        cpu=cpu,
    )


def here(settings: Mapping[str, Any], cores: int | None) -> Side:
    """What all builds on this machine have in common. `settings` are Nix's, `cores` the limit for one build, None for
    Nix's own."""
    environment = {
        "cpus": os.cpu_count(),
        "kernel": platform.release(),
        "nix sandbox": settings.get("sandbox"),
        "nix sandbox-build-dir": settings.get("sandbox-build-dir"),
        "nix cores": cores if cores is not None else settings.get("cores"),
    }
    return surroundings(environment, host=platform.node(), cpu=_cpu_model())


def at(side: Side, started: float, seconds: float | None, *, resolution: float = 0.0) -> Side:
    """The side of a build that started then (seconds since the epoch) and took so long, both known to `resolution`
    seconds."""
    return msgspec.structs.replace(side, window=(started - resolution, started + (seconds or 0.0) + resolution))


def under(condition: Condition, side: Side) -> Side:
    """What a build saw that ran under the condition; `side` is what it would have seen without."""
    ahead = condition.clock_shift
    return msgspec.structs.replace(
        side,
        window=(side.window[0] + ahead, side.window[1] + ahead) if side.window is not None else None,
        cores=condition.cores or side.cores,
        cpus=condition.cpus or side.cpus,
        build_dir=condition.build_dir or side.build_dir,
    )


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _cpu_model() -> str | None:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), None)
