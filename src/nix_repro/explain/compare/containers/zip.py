"""zip and what is built on it: jar, whl, docx, apk; jmod, which has a prefix; Mozilla's, with the directory first.

Read here and not by the standard library's reader, which knows nothing of local headers, of what lies between members
and directory, and of where each ends."""

from __future__ import annotations

import bz2
import struct
from collections.abc import Callable
from typing import NamedTuple

from nix_repro.explain import printable
from nix_repro.explain.budget import Budget
from nix_repro.explain.compare.blob import Blob, SliceBlob
from nix_repro.explain.compare.containers.compressed import BROKEN, Bounded, Inflate, Unpacked, stream_end
from nix_repro.explain.compare.containers.model import Container, Extent, Field, Member, NotThis, rest
from nix_repro.explain.compare.containers.zip_fields import ENTRY, DirectoryEntry, read_entry, read_local
from nix_repro.explain.compare.spans import first_difference

END = b"PK\5\6"
#: Bytes at the end in which the end record is looked for: itself and the longest comment.
TAIL = 22 + (1 << 16)
STORED = 0
DECOMPRESSORS: dict[int, Callable[[], Bounded]] = {8: lambda: Inflate(-15), 12: bz2.BZ2Decompressor}
#: What stands before sizes and checksum when they come after the content (appnote, 4.3.9).
DESCRIPTOR = b"PK\7\10"


class Directory(NamedTuple):
    """Where the directory is, how many entries it claims, and what to add to the offsets in it."""

    start: int
    size: int
    entries: int
    shift: int
    extents: tuple[Extent, ...]
    fields: tuple[Field, ...]


class Deferred:
    """A member's content, unpacked when its bytes are first asked for; most members are equal as they are packed."""

    def __init__(self, packed: SliceBlob, entry: DirectoryEntry, budget: Budget) -> None:
        self.packed, self.entry, self.budget = packed, entry, budget
        self.size = entry.size
        self.content: Blob | None = None

    def read(self, offset: int, length: int) -> bytes:
        return (self.content or self.unpack()).read(offset, length)

    def unpack(self) -> Blob:
        """What is in it, and when that cannot be read to its end, then the bytes as they are packed."""
        self.content = self.packed
        if (begin := DECOMPRESSORS.get(self.entry.method)) is not None:
            out = Unpacked()
            try:
                end = stream_end(self.packed, 0, begin(), out, self.budget)
                if end is not None or self.budget.cut:
                    self.content = out.content
            except BROKEN:
                pass
        self.size = self.content.size
        return self.content

    @property
    def numbers(self) -> Field:
        return Field("sizes and checksum", f"{self.entry.size}, {self.entry.checksum:08x}")


def unpacked(a: Deferred, b: Deferred, budget: Budget) -> tuple[Blob, Blob] | None:
    """Both contents in one form, to be compared; null when they are equal already as they are packed."""
    if a.entry.method == b.entry.method and first_difference(a.packed, b.packed, budget) is None:
        return None
    contents = a.unpack(), b.unpack()
    if any(side.content is side.packed and side.entry.method != STORED for side in (a, b)):
        return a.packed, b.packed
    return contents


def open_zip(blob: Blob, budget: Budget) -> Container:
    directory = _directory(blob)
    members: list[Member] = []
    extents = list(directory.extents)
    offset, packed = directory.start, False
    while (entry := read_entry(blob, offset)) is not None:
        if budget.full(len(members)):
            extents.append(Extent(0, blob.size))
            break
        extents.append(Extent(offset, entry.end, "the directory"))
        offset = entry.end
        name = printable.name(entry.name)
        place = entry.offset + directory.shift
        start, fields = read_local(blob, place, entry)
        content = SliceBlob(blob, start, entry.packed_size)
        packed = packed or entry.method != STORED
        after = _descriptor(blob, start + entry.packed_size, entry)
        extents.append(Extent(place, after, name))
        blank = entry.name.endswith(b"/") and not entry.packed_size
        inner = None if blank else Deferred(content, entry, budget)
        members.append(Member(name, inner, fields))
    unread = f"{directory.entries - len(members)}, {directory.size - (offset - directory.start)}"
    return Container(
        "zip",
        [*members, *rest(blob, extents)],
        (*directory.fields, Field("entries and bytes claimed beyond the directory", unread)),
        packed,
    )


def _directory(blob: Blob) -> Directory:
    """Found by the record at the end. Offsets count from the start of the file, or, when something was put in front of
    the archive afterwards, from there."""
    from_here = max(0, blob.size - TAIL)
    tail = blob.read(from_here, TAIL)
    at = tail.rfind(END)
    if at < 0 or len(tail) < at + 22:
        raise NotThis
    numbers = struct.unpack("<HHHHIIH", tail[at + 4 : at + 22])
    disk, first_disk, here, count, size, start, comment = numbers
    end = from_here + at
    text = tail[at + 22 : at + 22 + comment]
    extents = [Extent(end, end + 22 + len(text), "the end record")]
    fields = [
        Field("archive comment", text.decode("latin-1")),
        Field("end record", f"{disk}, {first_disk}, {here - count}, {comment - len(text)}"),
    ]
    locator = blob.read(max(0, end - 20), 20)
    if locator[:4] == b"PK\6\7":
        (told,) = struct.unpack("<Q", locator[8:16])
        begin = told if blob.read(told, 4) == b"PK\6\6" else max(0, end - 76)
        record = blob.read(begin, 56)
        if record[:4] != b"PK\6\6" or len(record) < 56:
            raise NotThis
        count, size, start = struct.unpack("<QQQ", record[32:56])
        extents += [Extent(begin, begin + 56, "the end record"), Extent(end - 20, end, "the end record")]
        marks = record[4:24] + locator[4:8] + locator[16:]
        fields.append(Field("end record of zip64", f"{marks.hex()}, {struct.unpack('<Q', record[24:32])[0] - count}"))
        end = begin
    for begin in (start, end - size):
        if begin >= 0 and (not count or blob.read(begin, 4) == ENTRY):
            return Directory(begin, size, count, begin - start, tuple(extents), tuple(fields))
    raise NotThis


def _descriptor(blob: Blob, at: int, entry: DirectoryEntry) -> int:
    """Where a member ends whose content ends here: sizes and checksum may follow, if they are the right ones."""
    if entry.flags & 8:
        for code in ("<III", "<IQQ"):
            for mark in (DESCRIPTOR, b""):
                try:
                    expected = mark + struct.pack(code, entry.checksum, entry.packed_size, entry.size)
                except struct.error:
                    continue
                if blob.read(at, len(expected)) == expected:
                    return at + len(expected)
    return at
