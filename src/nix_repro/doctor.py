"""What is wrong with this machine, this Nix and this checkout, each with its remedy. Reads only."""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import msgspec

from nix_repro.errors import UsageError
from nix_repro.nix import gc_roots as garbage
from nix_repro.nix.caches.kinds import MAGIC_NIX_CACHE, normal, recognise
from nix_repro.nix.checkout import git
from nix_repro.nix.command import Nix, NixError
from nix_repro.nix.machine import in_ci
from nix_repro.plan.installables import evaluate
from nix_repro.text import plural, size, some, store_name

State = Literal["ok", "note", "problem"]
#: Days after which a lock, seconds after which a cache, and bytes under which free space is worth a word, or a problem.
OLD_LOCK, SLOW_CACHE, LITTLE_SPACE, HARDLY_SPACE = 90, 2.0, 10 * 10**9, 10**9
#: Files that evaluation reads, so that an untracked one is missed.
_MATTERS = (
    ".nix",
    ".toml",
    ".lock",
    ".json",
    ".yml",
    ".yaml",
    ".cabal",
    ".mod",
    ".sum",
    ".py",
    ".rs",
    ".go",
    ".c",
    ".h",
    ".hs",
    ".sh",
)
_TIMEOUT = 5.0
_COMMENT = re.compile(r"#[^\n]*|/\*.*?\*/", re.DOTALL)
_INPUTS = re.compile(r"\binputs\s*(?:=|\.)")


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One check: its name, how it stands, what was found, and what to do (null when there is nothing to do)."""

    check: str
    state: State
    found: str
    fix: str | None = None


def ok(check: str, found: str) -> Finding:
    return Finding(check=check, state="ok", found=found)


def note(check: str, found: str, fix: str) -> Finding:
    return Finding(check=check, state="note", found=found, fix=fix)


def problem(check: str, found: str, fix: str) -> Finding:
    return Finding(check=check, state="problem", found=found, fix=fix)


def cheap(nix: Nix, environ: Mapping[str, str], cwd: Path) -> list[Finding]:
    """The checks that cost next to nothing: settings, the checkout, free space."""
    settings = nix.settings()
    return [
        _version(nix),
        *_features(nix, environ),
        _daemon(nix, environ),
        _trusted(nix),
        _sandbox(settings),
        _keys(settings),
        _jobs(settings),
        *_space(nix, settings),
        *_lock(cwd),
        *_tree(cwd),
        *_depth(cwd, environ),
    ]


def thorough(nix: Nix, environ: Mapping[str, str], cwd: Path, installables: Sequence[str]) -> list[Finding]:
    """The checks that ask a network, the whole store, or evaluate."""
    found = _substituters(nix.settings())
    if in_ci(environ):
        found.append(_magic(nix.settings()))
    return [*found, *_store(nix), *_closures(nix, cwd, installables)]


def _version(nix: Nix) -> Finding:
    version = nix.version()
    numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdecimal())
    if len(numbers) == 2 and numbers < (2, 8):
        return problem(
            "nix",
            f"Nix {version} is older than what this is tested with (2.8)",
            "install a newer one: https://nixos.org/download",
        )
    if len(numbers) == 2 and numbers < (2, 18):
        return note("nix", f"Nix {version} has known gaps: --fallback aborts on a bad cache", "update Nix when you can")
    return ok("nix", f"Nix {version} at {nix.binary}")


def _features(nix: Nix, environ: Mapping[str, str]) -> list[Finding]:
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


def _daemon(nix: Nix, environ: Mapping[str, str]) -> Finding:
    writable = os.access(nix.store_dir(), os.W_OK)
    socket = Path(
        environ.get("NIX_DAEMON_SOCKET_PATH", f"{environ.get('NIX_STATE_DIR', '/nix/var/nix')}/daemon-socket/socket")
    )
    if not writable and not socket.exists():
        fix = "start it: sudo systemctl start nix-daemon (macOS: sudo launchctl kickstart system/org.nixos.nix-daemon)"
        return problem("daemon", "the store is not writable and no nix-daemon listens", fix)
    return ok("daemon", "nix-daemon listens" if socket.exists() else "no daemon: this user writes the store itself")


def _trusted(nix: Nix) -> Finding:
    if nix.trusted():
        return ok("trusted user", "this user may change Nix's settings")
    fix = (
        "add the user to trusted-users in /etc/nix/nix.conf and restart the daemon; the shadow rebuilder (sudo) works "
        "without"
    )
    return note("trusted user", "settings of this user for caches and the sandbox are ignored by the daemon", fix)


def _sandbox(settings: Mapping[str, Any]) -> Finding:
    value = str(settings.get("sandbox", "")).lower()
    if value == "true":
        return ok("sandbox", "on")
    found = f"{value or 'not known'}: builds see this machine, and what they find may differ on the next"
    return note("sandbox", found, "sandbox = true in nix.conf")


def _keys(settings: Mapping[str, Any]) -> Finding:
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


def _jobs(settings: Mapping[str, Any]) -> Finding:
    jobs, cores, cpus = settings.get("max-jobs", 1), settings.get("cores", 0), os.cpu_count() or 1
    found = f"max-jobs {jobs}, cores {cores or 'all'}, {plural(cpus, 'CPU')}"
    if jobs == 0:
        return problem("jobs", found, "max-jobs = auto: with 0 nothing is built here")
    if jobs == 1 and cpus > 1:
        return note("jobs", found, "max-jobs = auto builds several derivations at once")
    if isinstance(jobs, int) and jobs * (cores or cpus) > 4 * cpus:
        return note("jobs", found, "that many builds with that many cores each fight for the CPUs: lower one of them")
    return ok("jobs", found)


def _space(nix: Nix, settings: Mapping[str, Any]) -> list[Finding]:
    places = {"store": nix.store_dir(), "build directory": str(settings.get("build-dir") or tempfile.gettempdir())}
    found: list[Finding] = []
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


def _lock(cwd: Path) -> list[Finding]:
    if not (cwd / "flake.nix").is_file():
        return []
    lock = cwd / "flake.lock"
    try:
        nodes = json.loads(lock.read_text(encoding="utf-8")).get("nodes", {})
        dates = {
            name: node["locked"]["lastModified"]
            for name, node in nodes.items()
            if "lastModified" in node.get("locked", {})
        }
    except FileNotFoundError:
        text = _COMMENT.sub("", (cwd / "flake.nix").read_text(encoding="utf-8", errors="replace"))
        if not _INPUTS.search(text):
            return [ok("flake.lock", "none, and the flake has no inputs")]
        fix = "nix flake lock, and commit it: without it every run may build something else"
        return [problem("flake.lock", "it is missing", fix)]
    except (OSError, ValueError, AttributeError, KeyError, TypeError) as error:
        return [problem("flake.lock", f"it cannot be read: {error}", "restore it from git")]
    tracked = (
        git(cwd, "rev-parse", "--git-dir") is None or git(cwd, "ls-files", "--error-unmatch", "flake.lock") is not None
    )
    if not tracked:
        return [problem("flake.lock", "it is not committed", "git add flake.lock && git commit")]
    now = time.time()
    old = {
        name: (now - at) / 86400 for name, at in dates.items() if isinstance(at, int) and now - at > OLD_LOCK * 86400
    }
    if old:
        worst = ", ".join(
            f"{name} {days:.0f} days" for name, days in sorted(old.items(), key=lambda item: -item[1])[:3]
        )
        return [
            note(
                "flake.lock",
                f"old inputs: {worst}",
                "nix flake update NAME, in a commit of its own: it rebuilds everything once",
            )
        ]
    newest = max((at for at in dates.values() if isinstance(at, int)), default=None)
    said = "" if newest is None else f", newest input of {datetime.fromtimestamp(newest, UTC).date()}"
    return [ok("flake.lock", f"committed{said}")]


def _tree(cwd: Path) -> list[Finding]:
    status = git(cwd, "status", "--porcelain", "-z", "--untracked-files=all", "--", ".")
    if status is None:
        return []
    rows = [row for row in status.split("\0") if len(row) > 3 or row[:2].strip()]
    untracked = [row[3:] for row in rows if row.startswith("??") and row.endswith(_MATTERS)]
    dirty = [row for row in rows if not row.startswith("??")]
    found: list[Finding] = []
    if untracked:
        fix = "git add them (a commit is not needed), or list them in .gitignore"
        found.append(problem("untracked files", f"Nix does not see {some(untracked)}", fix))
    if dirty:
        found.append(
            note(
                "work tree",
                f"{plural(len(dirty), 'file differs', 'files differ')} from the commit: what is built is no commit's",
                "commit or stash",
            )
        )
    return found or [ok("work tree", "clean")]


def _depth(cwd: Path, environ: Mapping[str, str]) -> list[Finding]:
    if git(cwd, "rev-parse", "--is-shallow-repository") != "true":
        return []
    fix = "actions/checkout with `fetch-depth: 0`: --base and --since need the history"
    return (
        [note("fetch-depth", "the clone is shallow", fix)] if in_ci(environ) else [ok("fetch-depth", "a shallow clone")]
    )


def _substituters(settings: Mapping[str, Any]) -> list[Finding]:
    urls = [str(url) for url in settings.get("substituters", [])]
    if not urls:
        return [
            note("substituters", "none: everything is built here", "substituters = https://cache.nixos.org in nix.conf")
        ]
    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(_substituter, urls))


def _substituter(url: str) -> Finding:
    base = normal(url)
    name = f"substituter {recognise(url).name}"
    if base.startswith("file://"):
        there = Path(base.removeprefix("file://")).is_dir()
        return (
            ok(name, "there")
            if there
            else problem(name, f"{base}: there is no such directory", "mount it or take it out of substituters")
        )
    if not base.startswith(("http://", "https://")):
        return ok(name, f"{base}: not asked")
    import requests

    began = time.monotonic()
    try:
        # Whatever comes after the status is not waited for.
        with requests.get(f"{base}/nix-cache-info", timeout=_TIMEOUT, stream=True) as answer:
            pass
    except requests.RequestException as error:
        return problem(
            name,
            f"{base} cannot be reached ({type(error).__name__})",
            "start it, or take it out of substituters: it costs 5 s a run",
        )
    took = time.monotonic() - began
    if answer.status_code != 200:
        fix = (
            "418 and 429: too many requests, wait or use another cache. 401 and 403: credentials in netrc-file. 5xx: "
            "its own log"
        )
        return problem(name, f"{base} answers {answer.status_code}", fix)
    if took > SLOW_CACHE:
        return note(
            name, f"{base} takes {took:.1f} s to answer", "a nearer cache, or put it behind faster ones (?priority=)"
        )
    return ok(name, f"{base} answers in {took * 1000:.0f} ms")


def _magic(settings: Mapping[str, Any]) -> Finding:
    if any(host in str(url) for url in settings.get("substituters", []) for host in MAGIC_NIX_CACHE):
        return ok("Magic Nix Cache", "on")
    found = "off: nothing of an earlier job comes from GitHub's cache"
    return note("Magic Nix Cache", found, "`cache: magic` in the action's inputs, before anything is built")


def _store(nix: Nix) -> list[Finding]:
    try:
        infos = nix.path_info(["--all"])
    except NixError as error:
        return [note("store size", f"not known: {str(error).splitlines()[-1]}", "nix-store --verify")]
    state = Path(nix.env.get("NIX_STATE_DIR", Path(nix.store_dir()).parent / "var" / "nix"))
    settings = nix.settings()
    keep = {name: bool(settings.get(name.replace("_", "-"))) for name in ("keep_derivations", "keep_outputs")}
    used = garbage.live(infos, garbage.roots(state, nix.store_dir()), **keep)
    kept, freed = (sum(infos[path].nar_size for path in paths) for paths in (used, infos.keys() - used))
    return [
        ok("store size", f"{plural(len(used), 'path')} in use, {size(kept)}"),
        ok("garbage", f"nix-collect-garbage would free {plural(len(infos) - len(used), 'path')}, {size(freed)}"),
    ]


def _closures(nix: Nix, cwd: Path, installables: Sequence[str]) -> Iterable[Finding]:
    if not (cwd / "flake.nix").is_file() and all(name.startswith((".", "#")) for name in installables):
        return [note("installables", "there is no flake.nix here", "run it where the flake is")]
    try:
        named = evaluate(nix, installables, cwd)
        drvs = nix.derivations(dict.fromkeys(named.values()))
        outputs = [o.path for drv in drvs.values() for o in drv.outputs.values() if o.path is not None]
        invalid = nix.invalid(outputs)
        valid = [path for path in outputs if path not in invalid]
        infos = nix.path_info(valid, closure_size=True) if valid else {}
    except (UsageError, NixError) as error:
        return [problem("installables", str(error).strip().splitlines()[-1], "nix flake check shows the whole message")]
    found = [ok("installables", plural(len(named), "installable"))]
    for path in valid:
        closure = infos[path].closure_size
        found.append(ok(f"closure {store_name(path)}", size(closure) if closure is not None else "size not known"))
    return found


def urgent(nix: Nix, environ: Mapping[str, str], cwd: Path) -> list[str]:
    """The cheap checks' problems, for a run that works all the same, in one line each."""
    rows = [
        row for row in cheap(nix, environ, cwd) if row.state == "problem" and row.check not in ("features", "daemon")
    ]
    return [f"{row.check}: {row.found}. To do: {row.fix}" for row in rows]


def diagnose(nix: Nix, environ: Mapping[str, str], cwd: Path, installables: Sequence[str]) -> list[Finding]:
    """Every check."""
    return [*cheap(nix, environ, cwd), *thorough(nix, environ, cwd, installables)]
