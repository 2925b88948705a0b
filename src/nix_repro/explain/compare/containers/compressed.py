"""Compressors: one unnamed member, the decompressed content of all streams that follow each other, and whatever is no
stream of them."""

from __future__ import annotations

import bz2
import lzma
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from nix_repro.explain.budget import Budget
from nix_repro.explain.compare.blob import CHUNK, Blob, SliceBlob, StreamBlob, crc32
from nix_repro.explain.compare.containers.model import REST, Container, Extent, Field, Member, NotThis, rest

INSIDE = "in the decompressed content"
#: Bytes given to a decompressor at first, and at most: what comes after the end of a stream is copied.
FED_FIRST = 1 << 9
FED_MOST = 64 << 10
#: Memory that a decompressor may take.
MEMORY = 512 << 20
#: Further streams whose headers are told apart.
MANY_HEADERS = 1000
#: What decompressors raise.
BROKEN = (zlib.error, lzma.LZMAError, OSError, EOFError, ValueError)
LZIP_TRAILER = 20


class Bounded(Protocol):
    """A decompressor that can be asked for a limited amount at a time, as bz2 and lzma have it."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int = ...) -> bytes: ...


class Inflate:
    """zlib's decompressor with the manners of the other two."""

    def __init__(self, window_bits: int) -> None:
        self.inner = zlib.decompressobj(window_bits)

    @property
    def eof(self) -> bool:
        return self.inner.eof

    @property
    def needs_input(self) -> bool:
        return not self.inner.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        return self.inner.unused_data

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        return self.inner.decompress(self.inner.unconsumed_tail + data, max_length)


@dataclass
class Unpacked:
    """The content of the streams so far, and where they are. `whole` unless the last one ends early."""

    content: StreamBlob = field(default_factory=StreamBlob)
    extents: list[Extent] = field(default_factory=list)
    whole: bool = True

    def append(self, piece: bytes, budget: Budget) -> bool:
        """False when that is more than the budget allows."""
        if self.content.size + len(piece) > budget.member or not budget.unpack(len(piece)) or budget.expired():
            budget.say("a compressed file holds more than is unpacked for a comparison")
            return False
        self.content.append(piece)
        return True

    def container(
        self, name: str, blob: Blob, fields: tuple[Field, ...] = (), more: tuple[Member, ...] = ()
    ) -> Container:
        """As a container. Raises NotThis when not even one stream is there."""
        if not self.extents:
            raise NotThis
        members = [Member("", self.content, inside=INSIDE), *more, *rest(blob, self.extents, "compressed data")]
        return Container(name, members, fields, packed=self.whole)


def stream_end(blob: Blob, start: int, stream: Bounded, out: Unpacked, budget: Budget) -> int | None:
    """Appends what the stream at `start` holds; returns where it ends, or null when the blob or the budget ends
    first. Raises what the decompressor does."""
    offset, fed = start, FED_FIRST
    while not stream.eof:
        data = b""
        if stream.needs_input:
            if not (data := blob.read(offset, fed)):
                return None
            offset, fed = offset + len(data), min(2 * fed, FED_MOST)
        if not out.append(stream.decompress(data, CHUNK), budget):
            return None
    return offset - len(stream.unused_data)


def unpack(blob: Blob, budget: Budget, magic: bytes, begin: Callable[[], Bounded]) -> Unpacked:
    """Streams follow each other where several packers worked at once, or where somebody appended to the file, and zeros
    may fill up the end. What cannot be read after the first stream is left to be compared as it is."""
    out, offset = Unpacked(), 0
    while blob.read(offset, len(magic)) == magic:
        before = out.content.size
        try:
            end = stream_end(blob, offset, begin(), out, budget)
        except BROKEN:
            if not out.extents:
                raise
            out.content.cut(before)
            break
        if end is None:
            out.extents.append(Extent(offset, blob.size))
            out.whole = False
            break
        out.extents.append(Extent(offset, end))
        offset = after_zeros(blob, end)
    return out


def inflated(data: bytes, limit: int) -> tuple[bytes, bytes] | None:
    """What the zlib stream at the start of the data holds, and what follows it; null when it is none, not all of one,
    or holds more than `limit` bytes."""
    inflate = zlib.decompressobj()
    try:
        content = inflate.decompress(data, limit)
    except zlib.error:
        return None
    return (content, inflate.unused_data) if inflate.eof else None


def after_zeros(blob: Blob, offset: int) -> int:
    while (piece := blob.read(offset, FED_MOST)) and not piece.strip(b"\0"):
        offset += len(piece)
    return offset + len(piece) - len(piece.lstrip(b"\0"))


def open_gzip(blob: Blob, budget: Budget) -> Container:
    out = unpack(blob, budget, b"\x1f\x8b", lambda: Inflate(31))
    first: tuple[Field, ...] = ()
    others: dict[tuple[Field, ...], None] = {}
    for extent in out.extents:
        fields = _gzip_header(blob.read(extent.start, 4096))
        first = first or fields
        if fields != first and len(others) < MANY_HEADERS:
            others[fields] = None
    more = (Member(f"{REST}header {n}", None, fields, inside="a further stream") for n, fields in enumerate(others))
    return out.container("gzip", blob, first, tuple(more))


def _gzip_header(head: bytes) -> tuple[Field, ...]:
    """RFC 1952: flags, mtime, extra flags (the level) and system, then perhaps an extra field, the original name, a
    comment."""
    flags, start, extra = head[3], 10, b""
    if flags & 4:
        size = int.from_bytes(head[10:12], "little")
        start, extra = 12 + size, head[12 : 12 + size]
    texts = []
    for flag in (8, 16):
        text, end, _ = head[start:].partition(b"\0") if flags & flag else (b"", b"", b"")
        texts.append(text.decode("latin-1"))
        start += len(text + end)
    return (
        Field("gzip mtime", int.from_bytes(head[4:8], "little"), time=True),
        Field("compression level", head[8]),
        Field("operating system", head[9]),
        Field("original name", texts[0]),
        Field("comment", texts[1]),
        Field("text flag", flags & 1),
        # bgzip and dictzip write the sizes of compressed blocks there.
        Field("extra field", "" if extra[:2] in (b"BC", b"RA") else extra.hex()),
    )


def open_xz(blob: Blob, budget: Budget) -> Container:
    return unpack(blob, budget, b"\xfd7zXZ\0", lambda: lzma.LZMADecompressor(memlimit=MEMORY)).container("xz", blob)


def open_bzip2(blob: Blob, budget: Budget) -> Container:
    return unpack(blob, budget, b"BZh", bz2.BZ2Decompressor).container("bzip2", blob)


def open_lzma(blob: Blob, budget: Budget) -> Container:
    """The format before xz. It has no checksum, so what cannot be read to the end is none."""
    out = unpack(blob, budget, blob.read(0, 3), lambda: lzma.LZMADecompressor(lzma.FORMAT_ALONE, memlimit=MEMORY))
    if not out.whole and not budget.cut:
        raise NotThis
    return out.container("lzma", blob)


def open_lzip(blob: Blob, budget: Budget) -> Container:
    """Raw LZMA with an end marker, between a header of six bytes and a trailer with the checksum and both sizes."""
    out, offset = Unpacked(), 0
    while (head := blob.read(offset, 6))[:5] == b"LZIP\1" and len(head) == 6:
        size = (1 << (head[5] & 31)) - ((1 << (head[5] & 31)) // 16) * (head[5] >> 5)
        if not 1 << 12 <= size <= MEMORY >> 1:
            break
        coder = {"id": lzma.FILTER_LZMA1, "dict_size": size, "lc": 3, "lp": 0, "pb": 2}
        before = out.content.size
        end = stream_end(blob, offset + 6, lzma.LZMADecompressor(lzma.FORMAT_RAW, None, [coder]), out, budget)
        if end is None:
            out.extents.append(Extent(offset, blob.size))
            out.whole = False
            break
        content = SliceBlob(out.content, before, out.content.size)
        trailer = struct.pack("<IQQ", crc32(content), content.size, end + LZIP_TRAILER - offset)
        if blob.read(end, LZIP_TRAILER) != trailer:
            raise NotThis
        out.extents.append(Extent(offset, end + LZIP_TRAILER))
        offset = end + LZIP_TRAILER
    return out.container("lzip", blob)


def open_zstd(blob: Blob, budget: Budget) -> Container:
    import zstandard

    from nix_repro.explain.compare.blob import as_file

    out, offset = Unpacked(), 0
    while (end := _zstd_end(blob, offset, budget)) is not None:
        if blob.read(offset, 4)[1:] != b"\x2a\x4d\x18":
            before = out.content.size
            frame = as_file(SliceBlob(blob, offset, end - offset))
            try:
                with zstandard.ZstdDecompressor(max_window_size=128 << 20).stream_reader(frame) as reader:
                    while (piece := reader.read(CHUNK)) and out.append(piece, budget):
                        pass
            except zstandard.ZstdError as error:
                if not out.extents:
                    raise NotThis from error
                out.content.cut(before)
                break
            out.extents.append(Extent(offset, end))
        offset = end
    return out.container("zstd", blob)


def _zstd_end(blob: Blob, start: int, budget: Budget) -> int | None:
    """Where the frame at `start` ends (RFC 8878): what skippable ones hold is for others, and passed over. Null when
    there is none, or not all of it."""
    head = blob.read(start, 8)
    if len(head) == 8 and head[0] & 0xF0 == 0x50 and head[1:4] == b"\x2a\x4d\x18":
        end = start + 8 + int.from_bytes(head[4:8], "little")
        return end if end <= blob.size else None
    if len(head) < 8 or head[:4] != b"\x28\xb5\x2f\xfd":
        return None
    flags = head[4]
    single = flags >> 5 & 1
    offset = start + 5 + (not single) + (0, 1, 2, 4)[flags & 3] + ((single, 2, 4, 8)[flags >> 6])
    while len(block := blob.read(offset, 3)) == 3 and not budget.expired():
        word = int.from_bytes(block, "little")
        offset += 3 + (1 if word >> 1 & 3 == 1 else word >> 3)
        if word & 1:
            end = offset + (4 if flags & 4 else 0)
            return end if end <= blob.size else None
    return None
