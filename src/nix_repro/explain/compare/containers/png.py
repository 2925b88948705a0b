"""PNG images: chunks, of which text and pictures are compressed by zlib. A picture is the same when its rows are."""

from __future__ import annotations

import zlib

from nix_repro.explain.budget import Budget
from nix_repro.explain.compare.blob import Blob, MemoryBlob, SliceBlob, StreamBlob
from nix_repro.explain.compare.containers.compressed import Inflate, Unpacked, stream_end
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
    checked: list[Field] = []
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
        right = zlib.crc32(kind + data) == int.from_bytes(blob.read(offset + 8 + size, 4), "big")
        checked.append(Field(f"checksum of chunk {len(extents)}", "right" if right else "wrong"))
        extents.append(Extent(offset, offset + 12 + size, f"chunk {name}"))
        offset += 12 + size
        if kind == b"IEND":
            break
    if not members:
        raise NotThis
    rows = Unpacked()
    end = stream_end(pixels, 0, Inflate(15), rows, budget)
    more = [Member("rows", rows.content, inside="the picture's rows")]
    if end is None or end < pixels.size:
        more = [Member("rows", SliceBlob(pixels, 0, pixels.size), inside="the picture's compressed rows")]
    wrong = tuple(field for field in checked if field.value == "wrong")
    packed = end == pixels.size
    return Container("png", [*members, *more, *rest(blob, extents, "picture")], wrong, packed)


def _content(blob: Blob, start: int, data: bytes, kind: bytes, budget: Budget) -> Blob:
    """A chunk's content; of one with compressed text, its keyword and the text."""
    if kind in COMPRESSED and len(data) <= TEXT:
        keyword, _, more = data.partition(b"\0")
        skip, method = (2, more[1:2]) if kind == b"iTXt" else (1, more[:1])
        if method == b"\0" and (kind != b"iTXt" or more[:1] == b"\1"):
            before = b""
            if kind == b"iTXt":
                language, _, after = more[skip:].partition(b"\0")
                translated, _, packed = after.partition(b"\0")
                before = language + b"\n" + translated + b"\n"
            else:
                packed = more[skip:]
            inflate = zlib.decompressobj()
            try:
                text = inflate.decompress(packed, TEXT)
            except zlib.error:
                return SliceBlob(blob, start, len(data))
            if inflate.eof and not inflate.unused_data and budget.unpack(len(text)):
                return MemoryBlob(keyword + b"\n" + before + text)
    return SliceBlob(blob, start, len(data))
