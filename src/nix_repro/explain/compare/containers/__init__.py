"""Formats that hold other files: one small function per format, found by the first bytes.

Each turns a blob into a Container, within the budget, or raises NotThis. Nothing is ever written under a member's
name, so what the names say is harmless.
"""

from __future__ import annotations

import struct
import tarfile
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
from nix_repro.explain.compare.containers.firmware import (
    ANDROID,
    DEVICE_TREE,
    UIMAGE,
    open_android,
    open_device_tree,
    open_uimage,
)
from nix_repro.explain.compare.containers.iso import FIRST as ISO_VOLUME
from nix_repro.explain.compare.containers.iso import MAGIC as ISO
from nix_repro.explain.compare.containers.iso import open_iso
from nix_repro.explain.compare.containers.model import REST, Container, Field, Member, NotThis
from nix_repro.explain.compare.containers.pdf import open_pdf
from nix_repro.explain.compare.containers.pem import open_pem
from nix_repro.explain.compare.containers.png import SIGNATURE as PNG
from nix_repro.explain.compare.containers.png import open_png
from nix_repro.explain.compare.containers.pyc import open_pyc
from nix_repro.explain.compare.containers.rpm import MAGIC as RPM
from nix_repro.explain.compare.containers.rpm import open_rpm
from nix_repro.explain.compare.containers.sections import MO, WASM, open_mo, open_wasm
from nix_repro.explain.compare.containers.sqlite import MAGIC as SQLITE
from nix_repro.explain.compare.containers.sqlite import open_sqlite
from nix_repro.explain.compare.containers.tar import open_tar
from nix_repro.explain.compare.containers.zip import open_zip

__all__ = ["REST", "Container", "Field", "Member", "NotThis", "open_container"]

Opener = Callable[[Blob, Budget], Container]

#: Bytes at the start in which most formats show.
HEAD = 512
#: (offset, magic, opener): the first that matches is used.
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
    (0, PNG, open_png),
    (0, b"%PDF-", open_pdf),
    (0, SQLITE, open_sqlite),
    (0, WASM, open_wasm),
    *((0, magic, open_mo) for magic in MO),
    (0, UIMAGE, open_uimage),
    (0, ANDROID, open_android),
    (0, DEVICE_TREE, open_device_tree),
    (0, RPM, open_rpm),
    (ISO_VOLUME, ISO, open_iso),
)

COMPRESSORS = (open_gzip, open_xz, open_bzip2, open_zstd, open_lzip, open_lzma)
#: What hostile bytes make the libraries raise.
BROKEN = (
    NotThis,
    tarfile.TarError,
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
    """Both blobs as containers of one format, or each as what a compressor wrote; null when they are not that, or are
    broken."""
    openers = _opener(a), _opener(b)
    if openers[0] is None or openers[1] is None:
        return None
    if openers[0] is not openers[1] and not all(opener in COMPRESSORS for opener in openers):
        return None
    try:
        return openers[0](a, budget), openers[1](b, budget)
    except BROKEN:
        return None


def _opener(blob: Blob) -> Opener | None:
    head = blob.read(0, HEAD)
    found = (
        opener
        for offset, magic, opener in MAGIC
        if (head.startswith(magic, offset) if offset < HEAD else blob.read(offset, len(magic)) == magic)
    )
    return next(found, None)
