"""Bytes to compare, wherever they are: a file, a part of one, or what was unpacked from a container."""

from __future__ import annotations

import io
import os
import stat
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import SpooledTemporaryFile
from typing import IO, Protocol

#: Bytes read at once.
CHUNK = 1 << 20


class Blob(Protocol):
    """Readable at any offset; `read` returns fewer bytes only at the end."""

    size: int

    def read(self, offset: int, length: int) -> bytes: ...


class FileBlob:
    """A regular file, read through one descriptor, never following a link or waiting for a writer."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self.size = os.fstat(descriptor).st_size

    def duplicate(self) -> FileBlob:
        """The same file, to be closed by whoever asked."""
        return FileBlob(os.dup(self.descriptor))

    def close(self) -> None:
        os.close(self.descriptor)

    def read(self, offset: int, length: int) -> bytes:
        return os.pread(self.descriptor, length, offset)

    def next_data(self, offset: int) -> int:
        """The first offset from `offset` on that is no hole of a sparse file; the size when there is none."""
        try:
            return os.lseek(self.descriptor, offset, os.SEEK_DATA)
        except OSError:
            return self.size


@contextmanager
def open_file(path: bytes) -> Iterator[FileBlob]:
    """Raises OSError when the path is not a regular file or cannot be read."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError("not a regular file")
        yield FileBlob(descriptor)
    finally:
        os.close(descriptor)


class MemoryBlob:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.size = len(data)

    def read(self, offset: int, length: int) -> bytes:
        return self.data[offset : offset + length]


class StreamBlob:
    """Unpacked bytes: in memory while small, else in an unnamed temporary file."""

    def __init__(self) -> None:
        self.file: SpooledTemporaryFile[bytes] = SpooledTemporaryFile(max_size=8 << 20)  # noqa: SIM115 (lives as long as the blob)
        self.size = 0

    def __del__(self) -> None:
        self.file.close()

    def append(self, data: bytes) -> None:
        self.file.seek(self.size)
        self.file.write(data)
        self.size += len(data)

    def cut(self, size: int) -> None:
        """Drops what was appended beyond this size."""
        self.file.truncate(size)
        self.size = size

    def read(self, offset: int, length: int) -> bytes:
        self.file.seek(offset)
        return self.file.read(length)


class SliceBlob:
    """A part of another blob. A part that claims more than there is, is cut to what there is."""

    def __init__(self, blob: Blob, start: int, size: int) -> None:
        self.blob = blob
        self.start = max(0, min(start, blob.size))
        self.size = max(0, min(size, blob.size - self.start))

    def read(self, offset: int, length: int) -> bytes:
        return self.blob.read(self.start + offset, max(0, min(length, self.size - offset)))


class BlobReader(io.RawIOBase):
    """A blob as a seekable file object, for libraries that want one."""

    def __init__(self, blob: Blob) -> None:
        self.blob = blob
        self.position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self.position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self.position, io.SEEK_END: self.blob.size}[whence]
        self.position = max(0, base + offset)
        return self.position

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        data = self.blob.read(self.position, len(buffer))
        buffer[: len(data)] = data
        self.position += len(data)
        return len(data)


def as_file(blob: Blob) -> IO[bytes]:
    return io.BufferedReader(BlobReader(blob))


def chunks(blob: Blob) -> Iterator[bytes]:
    offset = 0
    while data := blob.read(offset, CHUNK):
        offset += len(data)
        yield data


def crc32(blob: Blob) -> int:
    checksum = 0
    for data in chunks(blob):
        checksum = zlib.crc32(data, checksum)
    return checksum
