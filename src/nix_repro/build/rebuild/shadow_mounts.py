"""What the shadow rebuilder's helper asks of Linux: mounts, and the personality of what it starts. Standard library
only, and root's rights: see shadow_helper."""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
import stat
from collections.abc import Iterable
from pathlib import Path

# Flags of unshare(2) and mount(2).
_CLONE_NEWNS = 0x20000
_MS_RDONLY = 1
_MS_REMOUNT = 32
_MS_BIND = 4096
_MS_REC = 16384
_MS_PRIVATE = 1 << 18
#: Flags of personality(2): the kernel calls itself 2.6, and one that has no effect on what is built.
UNAME26 = 0x0020000
WHOLE_SECONDS = 0x2000000
_libc = ctypes.CDLL(None, use_errno=True)


def private_namespace() -> None:
    """Have mounts of our own, of which nobody else sees anything. Raises `OSError` where that is not to be had."""
    _check(_libc.unshare(_CLONE_NEWNS), "a mount namespace")
    try:
        _mount("none", "/", _MS_REC | _MS_PRIVATE)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        _private_from_outside()


def _private_from_outside() -> None:
    """In a chroot `/` need not be a mount point, and nothing else can be made private. A mount in the store's place
    would then be seen by everybody (its own mount point lies outside, and is shared on most systems): so go where the
    namespace begins, make all of it private there, and come back."""
    here = os.open("/", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    # Whoever changes the root and stays where it was is outside of the new one, and `..` leads up to the very top.
    os.chroot(_some_directory())
    os.fchdir(here)
    above = None
    while above != (above := _identity(".")):
        os.chdir("..")
    os.chroot(".")
    try:
        _mount("none", "/", _MS_REC | _MS_PRIVATE)
    finally:
        os.fchdir(here)
        os.chroot(".")
        os.close(here)


def _some_directory() -> str:
    """One below `/`, whichever there is."""
    with os.scandir("/") as entries:
        return next(entry.path for entry in entries if entry.is_dir(follow_symlinks=False))


def _identity(path: str) -> tuple[int, int]:
    found = os.stat(path)
    return found.st_dev, found.st_ino


def shadow_store(room: Path, store: Path, paths: Iterable[str]) -> None:
    """Put an empty directory in the store's place, with these of its paths."""
    shadow = room / "store"
    shadow.mkdir()
    like = store.stat()
    os.chown(shadow, like.st_uid, like.st_gid)
    shadow.chmod(stat.S_IMODE(like.st_mode))
    for path in paths:
        here = shadow / os.path.basename(path)
        mode = os.lstat(path).st_mode
        if stat.S_ISDIR(mode):
            here.mkdir()
            bind(path, str(here))
            _mount("none", str(here), _MS_REMOUNT | _MS_BIND | _MS_RDONLY)
        elif stat.S_ISLNK(mode):
            here.symlink_to(os.readlink(path))
        else:
            try:
                os.link(path, here)
            except OSError:  # another mount, even of the same file system
                shutil.copy2(path, here)
    # Recursively: the inputs are mounts of their own.
    _mount(str(shadow), str(store), _MS_BIND | _MS_REC)


def bind(source: str, target: str) -> None:
    """Show a directory in another place, too."""
    _mount(source, target, _MS_BIND)


def in_memory(directory: Path) -> None:
    """Have a directory in memory."""
    _mount("tmpfs", str(directory), 0, kind="tmpfs")
    directory.chmod(0o755)


def personality(flag: int) -> None:
    """Have this process, and what it starts, see Linux with the flag."""
    now = _libc.personality(ctypes.c_ulong(0xFFFFFFFF))
    # It answers with what was, and with -1 for an error.
    _check(min(_libc.personality(ctypes.c_ulong(now | flag)), 0), "personality")


def _mount(source: str, target: str, flags: int, kind: str | None = None) -> None:
    _check(
        _libc.mount(source.encode(), target.encode(), kind and kind.encode(), ctypes.c_ulong(flags), None),
        f"mount {source} on {target}",
    )


def _check(result: int, what: str) -> None:
    if result != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"{what}: {os.strerror(error)}")
