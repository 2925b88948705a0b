"""Compressors: gzip, xz, bzip2, zstd. One unnamed member, the decompressed content."""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Callable
from typing import Protocol

from nix_repro.explain.budget import Budget
from nix_repro.explain.compare.blob import CHUNK, Blob, StreamBlob
from nix_repro.explain.compare.containers.model import Container, Field, Member, NotThis

INSIDE = "in the decompressed content"
#: Bytes given to a decompressor at a time: what comes after the end of a stream is copied.
FED = 64 << 10


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


def unpack(blob: Blob, budget: Budget, begin: Callable[[], Bounded]) -> StreamBlob:
    """The content of a compressed blob, cut at what the budget allows. Streams follow each other where several packers
    worked at once, and zeros may fill up the end."""
    out = StreamBlob()
    stream: Bounded | None = None
    offset, whole = 0, False
    while data := blob.read(offset, FED):
        offset += len(data)
        while data or (stream is not None and not stream.needs_input):
            if stream is None:
                data = data.lstrip(b"\0")
                if not data:
                    break
                stream = begin()
            piece = stream.decompress(data, CHUNK)
            data = b""
            if out.size + len(piece) > budget.member or not budget.unpack(len(piece)) or budget.expired():
                budget.say("a compressed file holds more than is unpacked for a comparison")
                return out
            out.append(piece)
            if stream.eof:
                data, stream, whole = stream.unused_data, None, True
    if not out.size and not whole:
        raise NotThis
    return out


def wrapped(name: str, content: Blob, fields: tuple[Field, ...] = ()) -> Container:
    return Container(name, [Member("", content, inside=INSIDE)], fields)


def open_gzip(blob: Blob, budget: Budget) -> Container:
    """RFC 1952: flags, mtime, extra flags (the level) and system, then perhaps the original name."""
    head = blob.read(0, 1024)
    flags = head[3]
    start = 10
    if flags & 4:
        start += 2 + int.from_bytes(head[10:12], "little")
    original = head[start : head.index(b"\0", start)].decode("latin-1") if flags & 8 else ""
    fields = (
        Field("gzip mtime", int.from_bytes(head[4:8], "little"), time=True),
        Field("compression level", head[8]),
        Field("operating system", head[9]),
        Field("original name", original),
    )
    return wrapped("gzip", unpack(blob, budget, lambda: Inflate(31)), fields)


def open_xz(blob: Blob, budget: Budget) -> Container:
    return wrapped("xz", unpack(blob, budget, lambda: lzma.LZMADecompressor(memlimit=512 << 20)))


def open_bzip2(blob: Blob, budget: Budget) -> Container:
    return wrapped("bzip2", unpack(blob, budget, bz2.BZ2Decompressor))


def open_zstd(blob: Blob, budget: Budget) -> Container:
    import zstandard

    from nix_repro.explain.compare.blob import as_file

    out = StreamBlob()
    try:
        with zstandard.ZstdDecompressor(max_window_size=128 << 20).stream_reader(as_file(blob)) as reader:
            while piece := reader.read(CHUNK):
                if out.size + len(piece) > budget.member or not budget.unpack(len(piece)) or budget.expired():
                    budget.say("a compressed file holds more than is unpacked for a comparison")
                    break
                out.append(piece)
    except zstandard.ZstdError as error:
        raise NotThis from error
    return wrapped("zstd", out)
