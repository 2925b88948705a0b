"""Formats that are little more than a list of named parts: WebAssembly's sections, gettext's messages."""

from __future__ import annotations

import struct

from nix_repro.explain import printable
from nix_repro.explain.budget import Budget
from nix_repro.explain.compare.blob import Blob, MemoryBlob, SliceBlob
from nix_repro.explain.compare.containers.model import Container, Extent, Field, Member, NotThis, rest

WASM = b"\0asm"
#: The sections of a module by their number; the first has a name of its own.
SECTIONS = ("custom", "type", "import", "function", "table", "memory", "global", "export", "start", "element", "code")
MANY_SECTIONS = 10_000
#: A catalogue's first word, in either order of bytes.
MO = (b"\xde\x12\x04\x95", b"\x95\x04\x12\xde")
MANY_MESSAGES = 100_000
CATALOGUE = 64 << 20


def open_wasm(blob: Blob, _budget: Budget) -> Container:
    members: list[Member] = []
    extents = [Extent(0, 8)]
    offset = 8
    while offset < blob.size and len(members) < MANY_SECTIONS:
        head = blob.read(offset, 300)
        size, start = _number(head, 1)
        name = SECTIONS[head[0]] if head[0] < len(SECTIONS) else f"section {head[0]}"
        if head[0] == 0:
            length, text = _number(head, start)
            name = f"custom section {printable.name(head[text : text + min(length, 200)])}"
        if offset + start + size > blob.size:
            break
        members.append(Member(name, SliceBlob(blob, offset + start, size), inside=f"section {name}"))
        extents.append(Extent(offset, offset + start + size, name))
        offset += start + size
    if not members:
        raise NotThis
    return Container("wasm", [*members, *rest(blob, extents, "module")], (Field("version", blob.read(4, 4).hex()),))


def _number(data: bytes, at: int) -> tuple[int, int]:
    """A number in LEB128, and where it ends."""
    value = 0
    for place, byte in enumerate(data[at : at + 5]):
        value |= (byte & 0x7F) << 7 * place
        if byte < 0x80:
            return value, at + place + 1
    raise NotThis


def open_mo(blob: Blob, _budget: Budget) -> Container:
    """The catalogue as text, message by message: the first holds the header, with dates. The table of hashes follows
    from the messages."""
    head = blob.read(0, 28)
    if len(head) < 28 or blob.size > CATALOGUE:
        raise NotThis
    order = "<" if head[:4] == MO[0] else ">"
    version, count, originals, translations, hash_size, hashes = struct.unpack(order + "6I", head[4:28])
    if count > MANY_MESSAGES:
        raise NotThis
    extents = [Extent(0, 28), Extent(hashes, hashes + 4 * hash_size)]
    lines = []
    for table, what in ((originals, b"msgid"), (translations, b"msgstr")):
        rows = blob.read(table, 8 * count)
        extents.append(Extent(table, table + 8 * count))
        for number, (length, start) in enumerate(struct.iter_unpack(order + "II", rows)):
            lines.append((number, what, blob.read(start, min(length, CATALOGUE))))
            extents.append(Extent(start, start + length + 1))
    if sum(len(text) for _, _, text in lines) > CATALOGUE:
        raise NotThis
    text = b"".join(b"%s %s\n" % (what, data) for _, what, data in sorted(lines, key=lambda line: line[0]))
    members = [Member("", MemoryBlob(text), inside="the messages")]
    return Container("mo", [*members, *rest(blob, extents, "catalogue")], (Field("version", version),))
