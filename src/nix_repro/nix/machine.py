"""What machine, which commit, which settings: the facts a reader needs to place a report."""

from __future__ import annotations

import hashlib
import os
import platform
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from nix_repro.nix.command import Nix
from nix_repro.observations import HOST, Place

#: What a build may depend on besides its derivation.
_FACTS = ("os", "kernel", "machine", "cpus", "nix sandbox", "nix cores")
_SETTINGS = ("sandbox", "sandbox-build-dir", "cores", "max-jobs", "post-build-hook")


def in_ci(environ: Mapping[str, str]) -> bool:
    """Whether this is a job of a CI system. They all set `CI`; somebody who sets it to false or 0 says otherwise."""
    return environ.get("CI", "").lower() not in ("", "0", "false")


def describe_environment(nix: Nix, environ: Mapping[str, str]) -> dict[str, str | int | bool | None]:
    """Facts by name, nothing that identifies a person."""
    settings = nix.settings()
    return {
        "os": platform.system(),
        "kernel": platform.release(),
        "machine": platform.machine(),
        "cpus": os.cpu_count(),
        "ci": in_ci(environ),
        **{
            f"nix {name}": settings.get(name) if isinstance(settings.get(name), str | int | bool) else None
            for name in _SETTINGS
        },
    }


def this_machine(nix: Nix, environ: Mapping[str, str]) -> Place:
    """Where this run's builds take place."""
    facts = describe_environment(nix, environ)
    # GitHub's own are new for every run.
    kept = environ.get("RUNNER_ENVIRONMENT") == "self-hosted"
    return Place(
        _run_url(environ) or _fingerprint(),
        {
            **{name: str(facts[name]) for name in _FACTS},
            "nix": str(nix.release()),
            "cpu": _cpu_model(),
            **({HOST: _fingerprint()} if kept else {}),
        },
    )


def _run_url(environ: Mapping[str, str]) -> str | None:
    names = ("GITHUB_SERVER_URL", "GITHUB_REPOSITORY", "GITHUB_RUN_ID")
    server, repository, run = (environ.get(name) for name in names)
    if not (server and repository and run):
        return None
    return f"{server}/{repository}/actions/runs/{run}/attempts/{environ.get('GITHUB_RUN_ATTEMPT', '1')}"


@cache
def _fingerprint() -> str:
    """Tells this machine from others, and nothing else of it."""
    try:
        known = Path("/etc/machine-id").read_text("ascii", "replace").strip()
    except OSError:
        known = ""
    return hashlib.sha256(f"nix-repro {known} {platform.node()}".encode()).hexdigest()[:12]


@cache
def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines()
    except OSError:
        lines = []
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), None)
    # That starts a program, if it is asked.
    return platform.processor() if model is None else model
