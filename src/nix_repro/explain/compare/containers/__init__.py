"""Formats that hold other files: one small function per format, found by the first bytes.

Each turns a blob into a Container, within the budget, or raises NotThis. Nothing is ever written under a member's
name, so what the names say is harmless.
"""

from __future__ import annotations

import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from lzma import LZMAError

from nix_repro.explain.budget import Budget
from nix_repro.explain.compare.blob import Blob
from nix_repro.explain.compare.containers.ar import open_ar
from nix_repro.explain.compare.containers.compressed import (
    open_bzip2,
    open_gzip,
    open_lzip,
    open_lzma,
    open_xz,
    open_zstd,
)
from nix_repro.explain.compare.containers.cpio import MAGIC as CPIO
from nix_repro.explain.compare.containers.cpio import open_cpio
from nix_repro.explain.compare.containers.elf import open_elf
from nix_repro.explain.compare.containers.model import REST, Container, Field, Member, NotThis
from nix_repro.explain.compare.containers.pem import open_pem
from nix_repro.explain.compare.containers.pyc import open_pyc
from nix_repro.explain.compare.containers.tar import open_tar
from nix_repro.explain.compare.containers.zip import open_zip

__all__ = ["REST", "Container", "Field", "Member", "NotThis", "open_container"]

Opener = Callable[[Blob, Budget], Container]

#: (offset, magic, opener): the first that matches on both sides is used.
MAGIC: tuple[tuple[int, bytes, Opener], ...] = (
    (0, b"\x1f\x8b\x08", open_gzip),
    (0, b"\xfd7zXZ\x00", open_xz),
    (0, b"BZh", open_bzip2),
    (0, b"\x28\xb5\x2f\xfd", open_zstd),
    (0, b"LZIP\x01", open_lzip),
    *((0, bytes([properties, 0, 0]), open_lzma) for properties in (0x5D, 0x6D)),
    (0, b"PK\x03\x04", open_zip),
    (0, b"JM\x01\x00PK", open_zip),
    # Mozilla's, with the directory first.
    (4, b"PK\x01\x02", open_zip),
    (0, b"!<arch>\n", open_ar),
    (0, b"\x7fELF", open_elf),
    *((0, magic, open_cpio) for magic in CPIO),
    (257, b"ustar", open_tar),
    (2, b"\r\n", open_pyc),
    (0, b"-----BEGIN ", open_pem),
)

#: What hostile bytes make the libraries raise.
BROKEN = (
    NotThis,
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    LZMAError,
    EOFError,
    OSError,
    ValueError,
    NotImplementedError,
    RuntimeError,
    OverflowError,
    KeyError,
    IndexError,
    MemoryError,
)


def open_container(a: Blob, b: Blob, budget: Budget) -> tuple[Container, Container] | None:
    """Both blobs as containers of one format; null when they are not that, or are broken."""
    head_a, head_b = a.read(0, 512), b.read(0, 512)
    for offset, magic, opener in MAGIC:
        if head_a.startswith(magic, offset) and head_b.startswith(magic, offset):
            try:
                return opener(a, budget), opener(b, budget)
            except BROKEN:
                return None
    return None
