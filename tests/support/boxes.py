"""Every kind of container, made small, and where in it what is kept."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable

import zstandard

from binaries import archive, elf, member

Build = Callable[[bytes], bytes]


def tar(data: bytes, name: str = "x") -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as file:
        info = tarfile.TarInfo(name)
        info.size = len(data)
        file.addfile(info, io.BytesIO(data))
    return out.getvalue()


def zipped(data: bytes, method: int = zipfile.ZIP_DEFLATED, extra: bytes = b"", block: bytes = b"") -> bytes:
    """A zip archive of one file; `extra` goes to the local header only, `block` between it and the directory."""
    name = b"x"
    packed = zlib.compress(data, 9)[2:-4] if method == zipfile.ZIP_DEFLATED else data
    sizes = struct.pack("<III", zlib.crc32(data), len(packed), len(data))
    common = struct.pack("<HHH", 20, 0, method) + b"\0\0\x21\0" + sizes
    local = b"PK\3\4" + common + struct.pack("<HH", len(name), len(extra)) + name + extra + packed + block
    entry = (
        b"PK\1\2" + struct.pack("<H", 0x314) + common + struct.pack("<HHHHHII", len(name), 0, 0, 0, 0, 0o644 << 16, 0)
    )
    entry += name
    return local + entry + b"PK\5\6" + struct.pack("<HHHHIIH", 0, 0, 1, 1, len(entry), len(local), 0)


def cpio(*files: tuple[bytes, bytes], at: int = 0) -> bytes:
    """With hexadecimal headers."""
    out = b""
    for name, data in (*files, (b"TRAILER!!!", b"")):
        mode = 0 if name == b"TRAILER!!!" else 0o100644
        numbers = (7, mode, 0, 0, 1, at if mode else 0, len(data), 0, 0, 0, 0, len(name) + 1, 0)
        out += b"070701" + b"".join(b"%08X" % number for number in numbers) + name + b"\0"
        out += bytes(-len(out) % 4) + data
        out += bytes(-len(out) % 4)
    return out


def cpio_octal(*files: tuple[bytes, bytes], at: int = 0) -> bytes:
    out = b""
    for name, data in (*files, (b"TRAILER!!!", b"")):
        out += b"070707%06o%06o%06o%06o%06o%06o%06o%011o" % (1, 7, 0o100644, 0, 0, 1, 0, at)
        out += b"%06o%011o" % (len(name) + 1, len(data)) + name + b"\0" + data
    return out


def cpio_binary(*files: tuple[bytes, bytes], at: int = 0) -> bytes:
    out = b""
    for name, data in (*files, (b"TRAILER!!!", b"")):
        time, size = ((number >> 16, number & 0xFFFF) for number in (at, len(data)))
        out += struct.pack("<13H", 0o070707, 1, 7, 0o100644, 0, 0, 1, 0, *time, len(name) + 1, *size)
        out += name + bytes(1 + (len(name) + 1) % 2) + data + bytes(len(data) % 2)
    return out


def lzip(data: bytes) -> bytes:
    coder = [{"id": lzma.FILTER_LZMA1, "dict_size": 1 << 16, "lc": 3, "lp": 0, "pb": 2}]
    packed = lzma.compress(data, lzma.FORMAT_RAW, filters=coder)
    return b"LZIP\1\x10" + packed + struct.pack("<IQQ", zlib.crc32(data), len(data), len(packed) + 26)


def lzma_alone(data: bytes) -> bytes:
    return lzma.compress(data, lzma.FORMAT_ALONE)


#: From the content of its one member to the container.
KINDS: dict[str, Build] = {
    "gzip": lambda data: gzip.compress(data, mtime=0),
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zstd": zstandard.ZstdCompressor().compress,
    "lzma": lzma_alone,
    "lzip": lzip,
    "tar": tar,
    "zip": zipped,
    "zip-stored": lambda data: zipped(data, zipfile.ZIP_STORED),
    "ar": lambda data: archive(member(b"x/", data)),
    "cpio": lambda data: cpio((b"x", data)),
    "cpio-octal": lambda data: cpio_octal((b"x", data)),
    "cpio-binary": lambda data: cpio_binary((b"x", data)),
    "elf": lambda data: elf({".text": b"\xc3" * 16, ".rodata": data}),
}
#: Those whose content is compressed.
COMPRESSORS = ("gzip", "bzip2", "xz", "zstd", "lzma", "lzip", "zip")
