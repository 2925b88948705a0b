"""ELF objects, programs and libraries, by section: what differs is then a string table, a note or code, and offsets
that only follow from sizes are left out. The few fields needed are read here; a library for all of DWARF would be a
dependency for fifty lines."""

from __future__ import annotations

import struct
import zlib

from nix_repro.explain import printable
from nix_repro.explain.budget import Budget
from nix_repro.explain.compare.blob import Blob, MemoryBlob, SliceBlob
from nix_repro.explain.compare.containers.model import Container, Extent, Field, Member, NotThis, rest

#: The type of sections that hold nothing, and the flag of compressed ones (elf.h).
NOBITS = 8
COMPRESSED = 0x800
#: Sections whose bytes are offsets and counts about other sections.
DERIVED = (".symtab", ".dynsym", ".gnu.hash", ".hash", ".shstrtab")


def open_elf(blob: Blob, budget: Budget) -> Container:
    head = blob.read(0, 64)
    wide, order = head[4] == 2, {1: "<", 2: ">"}.get(head[5])
    if order is None or len(head) < (64 if wide else 52):
        raise NotThis
    table, entry_size, count, names_at = _section_table(head, wide, order)
    if not table or not count or entry_size < (64 if wide else 40):
        raise NotThis
    rows = [_row(blob.read(table + n * entry_size, entry_size), wide, order) for n in range(min(count, 4096))]
    if names_at >= len(rows):
        raise NotThis
    names = blob.read(rows[names_at][3], min(rows[names_at][4], 1 << 20))
    members = []
    extents = [Extent(0, _headers_end(head, wide, order)), Extent(table, table + entry_size * count)]
    for name_at, kind, flags, offset, size in rows:
        name = printable.name(names[name_at:].split(b"\0", 1)[0][:200])
        if kind == NOBITS or not size:
            continue
        content: Blob = SliceBlob(blob, offset, size)
        if flags & COMPRESSED:
            content = _decompressed(content, wide, budget)
        members.append(Member(name, content, inside=f"section {name}", derived=name in DERIVED))
        extents.append(Extent(offset, offset + size, name))
    fields = (Field("machine", struct.unpack_from(order + "H", head, 18)[0]),)
    return Container("elf", [*members, *rest(blob, extents, "ELF file")], fields)


def _headers_end(head: bytes, wide: bool, order: str) -> int:
    """Where the header and the segments' table after it end."""
    start = struct.unpack_from(order + ("Q" if wide else "I"), head, 32 if wide else 28)[0]
    own, size, count = struct.unpack_from(order + "HHH", head, 52 if wide else 40)
    return max(own, start + size * count) if start <= 64 else int(own)


def _section_table(head: bytes, wide: bool, order: str) -> tuple[int, int, int, int]:
    """Offset of the section table, size of an entry, number of entries, index of the section with the names."""
    table = struct.unpack_from(order + ("Q" if wide else "I"), head, 40 if wide else 32)[0]
    entry_size, count, names_at = struct.unpack_from(order + "HHH", head, 58 if wide else 46)
    return table, entry_size, count, names_at


def _row(entry: bytes, wide: bool, order: str) -> tuple[int, int, int, int, int]:
    """Name offset, type, flags, offset and size of a section."""
    name, kind, flags, _address, offset, size = struct.unpack_from(order + ("IIQQQQ" if wide else "IIIIII"), entry)
    return name, kind, flags, offset, size


def _decompressed(content: Blob, wide: bool, budget: Budget) -> Blob:
    """A section compressed with zlib, after its header; other methods stay as they are."""
    limit = 64 << 20
    try:
        data = zlib.decompressobj().decompress(content.read(24 if wide else 12, limit), limit)
    except zlib.error:
        return content
    return MemoryBlob(data) if budget.unpack(len(data)) else content
