"""Every kind of container, made small, and where in it what is kept."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import lzma
import sqlite3
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


def cpio_member(name: bytes, data: bytes, inode: int = 7, at: int = 0, mode: int = 0o100644) -> bytes:
    """With a hexadecimal header."""
    numbers = (inode, mode, 0, 0, 1, at, len(data), 0, 0, 0, 0, len(name) + 1, 0)
    head = b"070701" + b"".join(b"%08X" % number for number in numbers) + name + b"\0"
    return head + bytes(-len(head) % 4) + data + bytes(-len(data) % 4)


def cpio(*files: tuple[bytes, bytes], at: int = 0) -> bytes:
    return b"".join(cpio_member(*file, at=at) for file in files) + cpio_member(b"TRAILER!!!", b"", mode=0)


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


def png(data: bytes, *chunks: tuple[bytes, bytes]) -> bytes:
    """One row of grey pixels, and further chunks before it."""
    header = struct.pack(">IIBBBBB", len(data), 1, 8, 0, 0, 0, 0)
    out = b"\x89PNG\r\n\x1a\n"
    for kind, content in ((b"IHDR", header), *chunks, (b"IDAT", zlib.compress(b"\0" + data)), (b"IEND", b"")):
        out += struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
    return out


def pdf(data: bytes, kind: bytes = b"/ObjStm", level: int = 9) -> bytes:
    """A document of one compressed stream."""
    packed = zlib.compress(data, level)
    body = b"%%PDF-1.5\n1 0 obj\n<< /Type %s /Filter /FlateDecode /Length %d >>\nstream\n" % (kind, len(packed))
    body += packed + b"\nendstream\nendobj\n"
    return body + b"xref\n0 1\n%010d 65535 f \nstartxref\n%d\n%%%%EOF\n" % (len(body), len(body))


def uimage(data: bytes, at: int = 0) -> bytes:
    head = struct.pack(">IIII4B32s", len(data), 0, 0, zlib.crc32(data), 5, 2, 2, 0, b"demo")
    whole = b"\x27\x05\x19\x56" + bytes(4) + struct.pack(">I", at) + head
    return whole[:4] + struct.pack(">I", zlib.crc32(whole)) + whole[8:] + data


def android(data: bytes, line: bytes = b"quiet") -> bytes:
    head = b"ANDROID!" + struct.pack("<10I", 6, 0, len(data), 0, 0, 0, 0, 2048, 0, 0) + b"demo".ljust(16, b"\0")
    head += line.ljust(512, b"\0") + bytes(32) + bytes(1024)
    return head.ljust(2048, b"\0") + b"kernel".ljust(2048, b"\0") + data.ljust(-(-len(data) // 2048) * 2048, b"\0")


def device_tree(data: bytes) -> bytes:
    word = struct.Struct(">I").pack
    name = b"timestamp\0"
    tree = word(1) + bytes(4) + word(1) + b"chosen\0\0" + word(3) + word(len(data)) + word(0) + data
    tree += bytes(-len(data) % 4) + word(2) + word(2) + word(9)
    places = (56 + len(tree) + len(name), 56, 56 + len(tree), 40, 17, 16, 0, len(name), len(tree))
    return b"\xd0\x0d\xfe\xed" + struct.pack(">9I", *places) + bytes(16) + tree + name


def wasm(data: bytes) -> bytes:
    content = b"\4name" + data
    size = bytes([len(content) & 0x7F | 0x80, len(content) >> 7])
    return b"\0asm\1\0\0\0\0" + size + content


def mo(data: bytes) -> bytes:
    start = 28 + 16
    head = struct.pack("<7I", 0x950412DE, 0, 1, 28, 36, 0, 44)
    return head + struct.pack("<IIII", 0, start, len(data), start + 1) + b"\0" + data + b"\0"


def rpm(data: bytes, at: int = 0, host: bytes = b"builder") -> bytes:
    store = struct.pack(">I", at) + host + b"\0"
    rows = struct.pack(">IIII", 1006, 4, 0, 1) + struct.pack(">IIII", 1007, 6, 4, 1)
    empty = b"\x8e\xad\xe8\1" + bytes(12)
    header = b"\x8e\xad\xe8\1" + bytes(4) + struct.pack(">II", 2, len(store)) + rows + store
    return b"\xed\xab\xee\xdb".ljust(96, b"\0") + empty + header + gzip.compress(cpio((b"x", data)), mtime=0)


def iso(data: bytes, when: bytes = bytes(7), volume: bytes = b"0" * 16 + b"\0") -> bytes:
    """One file in the root directory; `when` is the time of its record."""

    def both(number: int) -> bytes:
        return struct.pack("<I", number) + struct.pack(">I", number)

    def record(name: bytes, sector: int, size: int, time: bytes, flags: int) -> bytes:
        out = b"\0" + both(sector) + both(size) + time + bytes([flags]) + bytes(6) + bytes([len(name)]) + name
        out += bytes((len(out) + 1) % 2)
        return bytes([len(out) + 1]) + out

    root = record(b"\0", 18, 2048, bytes(7), 2)
    files = root + record(b"\1", 18, 2048, bytes(7), 2) + record(b"X.TXT;1", 19, len(data), when, 0)
    primary = (b"\1CD001\1".ljust(156, b"\0") + root).ljust(813, b"\0") + volume
    parts = (bytes(16 * 2048), primary, b"\xffCD001\1", files, data)
    return b"".join(part.ljust(-(-len(part) // 2048) * 2048, b"\0") for part in parts)


def sqlite(data: bytes) -> bytes:
    with contextlib.closing(sqlite3.connect(":memory:")) as database:
        database.execute("CREATE TABLE words (text)")
        database.execute("INSERT INTO words VALUES (?)", (data.decode("latin-1"),))
        database.commit()
        return database.serialize()


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
    "png": png,
    "pdf": pdf,
    "uimage": uimage,
    "android": android,
    "device-tree": device_tree,
    "wasm": wasm,
    "mo": mo,
    "rpm": rpm,
    "iso": iso,
    "sqlite": sqlite,
    "elf": lambda data: elf({".text": b"\xc3" * 16, ".rodata": data}),
}
#: Those whose content is compressed.
COMPRESSED = ("gzip", "bzip2", "xz", "zstd", "lzma", "lzip", "zip", "png", "pdf", "rpm")
#: Those that are nothing else.
COMPRESSORS = COMPRESSED[:6]
