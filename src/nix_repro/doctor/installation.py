"""Nix, its settings, and the machine it runs on: what costs next to nothing to look at."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nix_repro.doctor.model import Diagnosis, note, ok, problem
from nix_repro.nix.caches.kinds import MAGIC_NIX_CACHE, normal
from nix_repro.nix.command import Nix
from nix_repro.text import plural, size

#: Bytes of free space under which it is worth a word.
LITTLE_SPACE = 10 * 10**9
#: Bytes of free space under which it is a problem.
HARDLY_SPACE = 10**9


def version(nix: Nix) -> Diagnosis:
    """Whether this is a Nix that is tested."""
    release = nix.release()
    if (0, 0) < release.series < (2, 8):
        return problem(
            "nix",
            f"{release} is older than what this is tested with (2.8)",
            "install a newer one: https://nixos.org/download",
        )
    if (0, 0) < release.series < (2, 18):
        return note("nix", f"{release} has known gaps: --fallback aborts on a bad cache", "update Nix when you can")
    return ok("nix", f"{release} at {nix.binary}")


def features(nix: Nix, environ: Mapping[str, str]) -> list[Diagnosis]:
    """Whether the experimental features that flakes need are enabled."""
    # This tool switches them on for itself: asked is what a person who types `nix` has. Not as JSON: there 2.8 has
    # numbers.
    asked = nix.processes.communicate([str(nix.binary), "show-config"], env=environ)
    said = asked.stderr.decode("utf-8", "replace")
    if asked.returncode != 0 and "is disabled" not in said:
        return [note("features", f"not known: {said.strip()[:200]}", "nix show-config shows the whole message")]
    lines = [line.partition(" = ") for line in asked.stdout.decode("utf-8", "replace").splitlines()]
    enabled = {word for name, _, value in lines if name == "experimental-features" for word in value.split()}
    missing = {"nix-command", "flakes"} - enabled
    if missing:
        return [
            problem(
                "features",
                f"not enabled: {', '.join(sorted(missing))}",
                "experimental-features = nix-command flakes in nix.conf",
            )
        ]
    return [ok("features", ", ".join(sorted(enabled)))]


def daemon(nix: Nix, environ: Mapping[str, str]) -> Diagnosis:
    """Whether there is a way to build: a daemon, or a store that may be written."""
    writable = os.access(nix.store_dir(), os.W_OK)
    socket = Path(
        environ.get("NIX_DAEMON_SOCKET_PATH", f"{environ.get('NIX_STATE_DIR', '/nix/var/nix')}/daemon-socket/socket")
    )
    listens = os.path.exists(socket)
    if not writable and not listens:
        fix = "start it: sudo systemctl start nix-daemon (macOS: sudo launchctl kickstart system/org.nixos.nix-daemon)"
        return problem("daemon", "the store is not writable and no nix-daemon listens", fix)
    return ok("daemon", "nix-daemon listens" if listens else "no daemon: this user writes the store itself")


def trusted(nix: Nix) -> Diagnosis:
    """Whether the daemon heeds the settings of this user."""
    if nix.trusted():
        return ok("trusted user", "this user may change Nix's settings")
    fix = (
        "add the user to trusted-users in /etc/nix/nix.conf and restart the daemon; the shadow rebuilder (sudo) works "
        "without"
    )
    return note("trusted user", "settings of this user for caches and the sandbox are ignored by the daemon", fix)


def sandbox(settings: Mapping[str, Any]) -> Diagnosis:
    """Whether builds are kept from seeing this machine."""
    value = str(settings.get("sandbox", "")).lower()
    if value == "true":
        return ok("sandbox", "on")
    found = f"{value or 'not known'}: builds see this machine, and what they find may differ on the next"
    return note("sandbox", found, "sandbox = true in nix.conf")


def keys(settings: Mapping[str, Any]) -> Diagnosis:
    """Whether each substituter that signs has a key. By name, as far as a name tells."""
    keys = {str(key).partition(":")[0] for key in settings.get("trusted-public-keys", [])}
    missing = []
    for url in settings.get("substituters", []):
        base = normal(str(url))
        name = base.partition("://")[2].split("/")[0]
        unsigned = (
            base.startswith(("ssh", "file", "local"))
            or any(host in base for host in MAGIC_NIX_CACHE)
            or "trusted=true" in str(url)
        )
        if not unsigned and not any(key.startswith(name) for key in keys):
            missing.append(base)
    if missing:
        fix = "add the cache's key to trusted-public-keys (Cachix: cachix use NAME). A key under another name is fine"
        return note("keys", f"no trusted key is named after {', '.join(missing)}", fix)
    return ok("keys", plural(len(keys), "trusted key"))


def jobs(settings: Mapping[str, Any]) -> Diagnosis:
    """Whether the CPUs have enough to do, and not too much."""
    jobs, cores, cpus = settings.get("max-jobs", 1), settings.get("cores", 0), os.cpu_count() or 1
    found = f"max-jobs {jobs}, cores {cores or 'all'}, {plural(cpus, 'CPU')}"
    if jobs == 0:
        return problem("jobs", found, "max-jobs = auto: with 0 nothing is built here")
    if jobs == 1 and cpus > 1:
        return note("jobs", found, "max-jobs = auto builds several derivations at once")
    if isinstance(jobs, int) and jobs * (cores or cpus) > 4 * cpus:
        return note("jobs", found, "that many builds with that many cores each fight for the CPUs: lower one of them")
    return ok("jobs", found)


def space(nix: Nix, settings: Mapping[str, Any]) -> list[Diagnosis]:
    """Free space where the store is and where builds are done."""
    places = {"store": nix.store_dir(), "build directory": str(settings.get("build-dir") or tempfile.gettempdir())}
    found: list[Diagnosis] = []
    for name, place in places.items():
        try:
            free = shutil.disk_usage(place).free
        except OSError:
            continue
        fix = "nix-collect-garbage, or a larger disk; a full one shows as `daemon disconnected unexpectedly`"
        said = f"{size(free)} free at {place}"
        say = problem if free < HARDLY_SPACE else note
        found.append(say(f"space: {name}", said, fix) if free < LITTLE_SPACE else ok(f"space: {name}", said))
    return found
