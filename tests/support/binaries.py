"""Binaries with whatever a test needs in them, and nothing else: ELF files by section, static libraries by member."""

from __future__ import annotations

import struct
from collections.abc import Collection, Mapping

PROGBITS, NOBITS, COMPRESSED = 1, 8, 0x800


def elf(
    sections: Mapping[str, bytes],
    *,
    wide: bool = True,
    order: str = "<",
    compressed: Collection[str] = (),
    absent: Collection[str] = (),
) -> bytes:
    """An ELF file of these sections, of 64 or 32 bits. `compressed` sections are marked so and get the header of one,
    their bytes stay as they are; `absent` ones claim their size and take no room in the file, as `.bss` does."""
    names = b"\0" + b"".join(name.encode() + b"\0" for name in (*sections, ".shstrtab"))
    rows, body = [(0, 0, 0, 0, 0)], b""
    start = 64 if wide else 52
    for name, data in (*sections.items(), (".shstrtab", names)):
        content = bytes(24 if wide else 12) + data if name in compressed else data
        kind = NOBITS if name in absent else PROGBITS
        flags = COMPRESSED if name in compressed else 0
        rows.append((names.index(name.encode() + b"\0"), kind, flags, start + len(body), len(content)))
        body += b"" if name in absent else content
    table = b"".join(
        struct.pack(order + ("IIQQQQIIQQ" if wide else "IIIIIIIIII"), name, kind, flags, 0, offset, size, 0, 0, 0, 0)
        for name, kind, flags, offset, size in rows
    )
    head = b"\x7fELF" + bytes([2 if wide else 1, 1 if order == "<" else 2, 1]) + bytes(9)
    head += struct.pack(
        order + ("HHIQQQIHHHHHH" if wide else "HHIIIIIHHHHHH"),
        *(1, 62, 1, 0, 0, start + len(body), 0, start, 0, 0),
        *(64 if wide else 40, len(rows), len(rows) - 1),
    )
    return head + body + table


def member(name: bytes, data: bytes, *, mtime: int = 0, uid: int = 0, size: int | None = None) -> bytes:
    """A member of a static library, with its header. `size` is what the header claims."""
    claimed = len(data) if size is None else size
    head = b"%-16s%-12d%-6d%-6d%-8s%-10d`\n" % (name, mtime, uid, 0, b"100644", claimed)
    return head + data + b"\n" * (len(data) % 2)


def archive(*members: bytes) -> bytes:
    """A static library of these members."""
    return b"!<arch>\n" + b"".join(members)
