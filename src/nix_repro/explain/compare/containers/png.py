"""PNG images: chunks, of which text and pictures are compressed by zlib. A picture is the same when its rows are."""

from __future__ import annotations

import zlib

from nix_repro.explain.budget import Budget
from nix_repro.explain.compare.blob import Blob, MemoryBlob, SliceBlob, StreamBlob
from nix_repro.explain.compare.containers.compressed import Inflate, Unpacked, inflated, stream_end
from nix_repro.explain.compare.containers.model import Container, Extent, Field, Member, NotThis, rest

SIGNATURE = b"\x89PNG\r\n\x1a\n"
#: Chunks that are looked at, and bytes of one: with compressed text, and of any.
MANY_CHUNKS = 10_000
TEXT = 1 << 20
LARGEST = 64 << 20
#: Chunks with compressed text, or a compressed profile.
COMPRESSED = (b"zTXt", b"iTXt", b"iCCP")


def open_png(blob: Blob, budget: Budget) -> Container:
    members: list[Member] = []
    extents = [Extent(0, len(SIGNATURE))]
    pixels = StreamBlob()
    wrong: list[Field] = []
    offset = len(SIGNATURE)
    while len(head := blob.read(offset, 8)) == 8 and head[4:].isalpha() and len(extents) < MANY_CHUNKS:
        size, kind = int.from_bytes(head[:4], "big"), head[4:]
        name = kind.decode("ascii")
        if size > LARGEST or offset + 12 + size > blob.size or not budget.unpack(size):
            break
        data = blob.read(offset + 8, size)
        if kind == b"IDAT":
            pixels.append(data)
        else:
            members.append(Member(name, _content(blob, offset + 8, data, kind, budget), inside=f"chunk {name}"))
        if zlib.crc32(kind + data) != int.from_bytes(blob.read(offset + 8 + size, 4), "big"):
            wrong.append(Field(f"checksum of chunk {len(extents)}", "wrong"))
        extents.append(Extent(offset, offset + 12 + size, f"chunk {name}"))
        offset += 12 + size
        if kind == b"IEND":
            break
    if not members:
        raise NotThis
    rows = Unpacked()
    packed = stream_end(pixels, 0, Inflate(15), rows, budget) == pixels.size
    if packed:
        members.append(Member("rows", rows.content, inside="the picture's rows"))
    else:
        members.append(Member("rows", pixels, inside="the picture's compressed rows"))
    return Container("png", [*members, *rest(blob, extents, "picture")], tuple(wrong), packed)


def _content(blob: Blob, start: int, data: bytes, kind: bytes, budget: Budget) -> Blob:
    """A chunk's content; of one with compressed text, what stands before it and the text."""
    if kind in COMPRESSED and len(data) <= TEXT and (parts := _compressed_text(kind, data)) is not None:
        *before, packed = parts
        found = inflated(packed, TEXT)
        if found is not None and not found[1] and budget.unpack(len(found[0])):
            return MemoryBlob(b"\n".join([*before, found[0]]))
    return SliceBlob(blob, start, len(data))


def _compressed_text(kind: bytes, data: bytes) -> list[bytes] | None:
    """The keyword, of international text its language and the keyword translated, and the text as it is packed; null
    when it is not packed."""
    keyword, _, more = data.partition(b"\0")
    if kind != b"iTXt":
        return [keyword, more[1:]] if more[:1] == b"\0" else None
    parts = [keyword, *more[2:].split(b"\0", 2)]
    return parts if more[:2] == b"\1\0" and len(parts) == 4 else None
