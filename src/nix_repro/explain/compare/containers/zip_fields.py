"""A zip archive's headers: the directory's entries, and the local ones in front of each member's content."""

from __future__ import annotations

import calendar
import struct
from typing import NamedTuple

from nix_repro.explain.compare.blob import Blob
from nix_repro.explain.compare.containers.model import Field, NotThis

ENTRY = b"PK\1\2"
LOCAL = b"PK\3\4"
#: What stands for a number that is in the zip64 field.
FULL = 0xFFFFFFFF
#: Extra fields by their identifier, as listed in the appnote and in Info-ZIP's notes.
ZIP64 = 0x0001
NTFS_TIMES = 0x000A
UNIX_TIMES = 0x5455
OWNERS = (0x7875, 0x7855)
TIMES = ("zip mtime", "zip access time", "zip creation time")
#: Seconds from 1601 to the epoch.
SINCE_1601 = 11_644_473_600


class DirectoryEntry(NamedTuple):
    """A member's entry in the directory. `offset` is where its local header is; `end` is where the entry ends."""

    made: int
    needed: int
    flags: int
    method: int
    when: bytes
    checksum: int
    packed_size: int
    size: int
    disk: int
    internal: int
    external: int
    offset: int
    name: bytes
    extras: dict[int, bytes]
    comment: bytes
    end: int


def read_entry(blob: Blob, at: int) -> DirectoryEntry | None:
    """The entry at this place; null when there is none."""
    head = blob.read(at, 46)
    if len(head) < 46 or head[:4] != ENTRY:
        return None
    made, needed, flags, method = struct.unpack("<HHHH", head[4:12])
    sizes, lengths = struct.unpack("<III", head[16:28]), struct.unpack("<HHH", head[28:34])
    disk, internal, external, offset = struct.unpack("<HHII", head[34:46])
    name = blob.read(at + 46, lengths[0])
    extras = _extras(blob.read(at + 46 + lengths[0], lengths[1]))
    comment = blob.read(at + 46 + lengths[0] + lengths[1], lengths[2])
    wide = extras.get(ZIP64, b"")
    numbers = [sizes[2], sizes[1], offset]
    for place, number in enumerate(numbers):
        if number == FULL and len(wide) >= 8:
            numbers[place], wide = int.from_bytes(wide[:8], "little"), wide[8:]
    end = at + 46 + sum(lengths)
    return DirectoryEntry(
        *(made, needed, flags, method, head[12:16], sizes[0], numbers[1], numbers[0]),
        *(disk, internal, external, numbers[2], name, extras, comment, end),
    )


def read_local(blob: Blob, at: int, entry: DirectoryEntry) -> tuple[int, tuple[Field, ...]]:
    """Where the content starts, and the fields of both headers. What the local header repeats is a field only where it
    says something else. Raises NotThis when there is no local header."""
    head = blob.read(at, 30)
    if len(head) < 30 or head[:4] != LOCAL:
        raise NotThis
    needed, flags, method = struct.unpack("<HHH", head[4:10])
    checksum, packed_size, size, name_length, extra_length = struct.unpack("<IIIHH", head[14:30])
    name = blob.read(at + 30, name_length)
    extras = _extras(blob.read(at + 30 + name_length, extra_length))
    told = (checksum, packed_size, size)
    repeated = (entry.checksum, entry.packed_size, entry.size)
    later = flags & 8 and told == (0, 0, 0)
    odd = [
        ("name in the local header", name.decode("latin-1"), name != entry.name),
        ("local header's version", needed, needed != entry.needed),
        ("local header's flags", flags, flags != entry.flags),
        ("local header's method", method, method != entry.method),
        (
            "sizes and checksum in the local header",
            f"{told}",
            not later and any(x not in (y, FULL) for x, y in zip(told, repeated, strict=True)),
        ),
    ]
    more = tuple(Field(what, value) for what, value, differs in odd if differs)
    if head[10:14] != entry.when:
        more = (Field("zip time of the local header", _dos(head[10:14]), time=True, local=True), *more)
    return at + 30 + name_length + extra_length, (*_fields(entry), *_extra_fields(entry.extras, extras), *more)


def _fields(entry: DirectoryEntry) -> tuple[Field, ...]:
    return (
        Field("zip time", _dos(entry.when), time=True, local=True),
        Field("mode", f"{entry.external >> 16:o}"),
        Field("attributes", entry.external & 0xFFFF),
        Field("internal attributes", entry.internal),
        Field("system", entry.made >> 8),
        Field("version", entry.made & 0xFF),
        Field("version needed", entry.needed),
        Field("flags", entry.flags),
        Field("compression method", entry.method),
        Field("disk", entry.disk),
        Field("comment", entry.comment.decode("latin-1")),
    )


def _extra_fields(central: dict[int, bytes], local: dict[int, bytes]) -> tuple[Field, ...]:
    """The directory has of some fields a part only: of Info-ZIP's times, the first."""
    fields = _times(local) or _times(central)
    for identifier, value in sorted((central | local).items()):
        if identifier == ZIP64 or (identifier in (UNIX_TIMES, NTFS_TIMES) and _read_times(identifier, value)):
            continue
        fields += (Field("owner" if identifier in OWNERS else f"extra field {identifier:04x}", value.hex()),)
    for identifier in sorted(central.keys() & local.keys() - {ZIP64}):
        if not local[identifier][1:].startswith(central[identifier][1:]):
            fields += (Field(f"directory's extra field {identifier:04x}", central[identifier].hex()),)
    return fields


def _times(extras: dict[int, bytes]) -> tuple[Field, ...]:
    found = (_read_times(identifier, extras.get(identifier, b"")) for identifier in (UNIX_TIMES, NTFS_TIMES))
    return next(filter(None, found), ())


def _read_times(identifier: int, data: bytes) -> tuple[Field, ...]:
    """Modification, access and creation, of which Info-ZIP's flags say which are there: the directory's copy has the
    first only. Empty when it is not all of the field."""
    if identifier == NTFS_TIMES:
        if len(data) != 32 or data[4:8] != b"\1\0\x18\0":
            return ()
        ticks = struct.unpack("<QQQ", data[8:])
        values = {name: tick // 10_000_000 - SINCE_1601 for name, tick in zip(TIMES, ticks, strict=True)}
    else:
        names = [name for bit, name in enumerate(TIMES) if data and data[0] >> bit & 1]
        count = (len(data) - 1) // 4
        if len(data) % 4 != 1 or count > len(names):
            return ()
        values = dict(zip(names, struct.unpack(f"<{count}i", data[1:]), strict=False))
    return tuple(Field(name, value, time=True) for name, value in values.items())


def _dos(data: bytes) -> int:
    clock, date = struct.unpack("<HH", data)
    try:
        return calendar.timegm(
            ((date >> 9) + 1980, date >> 5 & 15, date & 31, clock >> 11, clock >> 5 & 63, 2 * (clock & 31), 0, 0, 0)
        )
    except (ValueError, OverflowError):
        return 0


def _extras(data: bytes) -> dict[int, bytes]:
    """By identifier; what is none of them, as padding is none, under -1."""
    found: dict[int, bytes] = {}
    at = 0
    while at + 4 <= len(data):
        identifier, size = struct.unpack_from("<HH", data, at)
        if at + 4 + size > len(data):
            break
        found[identifier] = found.get(identifier, b"") + data[at + 4 : at + 4 + size]
        at += 4 + size
    if data[at:]:
        found[-1] = data[at:]
    return found
