"""ISO 9660 images: files by their names in the primary tree, and the times that directories and the volume keep."""

from __future__ import annotations

import calendar
import struct
from collections.abc import Iterator

from nix_repro.explain import printable
from nix_repro.explain.budget import Budget
from nix_repro.explain.compare.blob import Blob, SliceBlob
from nix_repro.explain.compare.containers.model import Container, Extent, Field, Member, NotThis, rest

SECTOR = 2048
#: Where the first volume descriptor is, and what stands in it.
FIRST = 16 * SECTOR
MAGIC = b"\1CD001"
#: Bytes of one directory, and bytes of its record before the name.
DIRECTORY = 4 << 20
RECORD = 33
#: The volume's times, by their places in the descriptor (ECMA-119, 8.4).
TIMES = (("creation", 813), ("modification", 830), ("expiration", 847), ("effective", 864))


def open_iso(blob: Blob, budget: Budget) -> Container:
    volume = blob.read(FIRST, SECTOR)
    if not volume.startswith(MAGIC) or len(volume) < SECTOR:
        raise NotThis
    members: list[Member] = []
    extents = [Extent(FIRST, FIRST + SECTOR, "the volume descriptor")]
    waiting = [("", *struct.unpack("<I4xI", volume[158:170]))]
    seen: set[int] = set()
    while waiting and not budget.expired():
        path, sector, size = waiting.pop()
        if sector in seen or size > DIRECTORY:
            continue
        seen.add(sector)
        extents.append(Extent(sector * SECTOR, sector * SECTOR + size, path or "the root directory"))
        for name, record in _records(blob.read(sector * SECTOR, size)):
            if len(members) >= budget.entries:
                budget.say("an archive has more members than are compared")
                return Container("iso", members, _volume_fields(volume))
            start, length = struct.unpack("<I4xI", record[2:14])
            own = name in (b"\0", b"\1")
            here = f"{path}/{name[0]}" if own else f"{path}/{printable.name(name)}".lstrip("/")
            content = None
            if not record[25] & 2:
                content = SliceBlob(blob, start * SECTOR, length)
                extents.append(Extent(start * SECTOR, start * SECTOR + length, here))
            elif not own:
                waiting.append((here, start, length))
            inside = "a directory's own record" if own else ""
            members.append(Member(here, content, _fields(record), inside=inside))
    if not members:
        raise NotThis
    return Container("iso", [*members, *rest(blob, extents, "image")], _volume_fields(volume))


def _records(data: bytes) -> list[tuple[bytes, bytes]]:
    """Names without their version, and records. None crosses a sector's end."""
    found = []
    at = 0
    while at < len(data):
        length = data[at]
        if length == 0:
            at = (at // SECTOR + 1) * SECTOR
            continue
        record = data[at : at + length]
        if len(record) < RECORD + 1 or RECORD + record[32] > len(record):
            break
        found.append((record[RECORD : RECORD + record[32]].split(b";")[0], record))
        at += length
    return found


def _fields(record: bytes) -> tuple[Field, ...]:
    return (
        Field("iso time", _time(record[18:25]), time=True),
        Field("flags", record[25:32].hex()),
        *_system_use(record[RECORD + record[32] + (record[32] + 1) % 2 :]),
    )


def _system_use(data: bytes) -> Iterator[Field]:
    """Rock Ridge's entries: times, modes and names as Unix has them."""
    at = number = 0
    while at + 4 <= len(data) and data[at + 2] >= 4:
        entry = data[at : at + data[at + 2]]
        number += 1
        if entry[:2] == b"TF" and len(entry) > 5 and not entry[4] & 0x80:
            for place in range(5, len(entry) - 6, 7):
                yield Field(f"Rock Ridge time {(place - 5) // 7 + 1}", _time(entry[place : place + 7]), time=True)
        else:
            yield Field(f"system use {entry[:2].decode('latin-1')} {number}", entry[4:].hex())
        at += len(entry)
    if data[at:].strip(b"\0"):
        yield Field("system use", data[at:].hex())


def _time(data: bytes) -> int | str:
    """Seven bytes: years since 1900 to seconds, and the zone in quarters of an hour."""
    year, month, day, hour, minute, second, zone = struct.unpack("6Bb", data)
    try:
        seconds: int = calendar.timegm((1900 + year, month, day, hour, minute, second, 0, 0, 0)) - 900 * zone
    except (ValueError, OverflowError):
        return data.hex()
    return seconds


def _volume_fields(volume: bytes) -> tuple[Field, ...]:
    names = (("system", 8, 40), ("volume", 40, 72), ("set", 190, 318), ("publisher", 318, 446), ("preparer", 446, 574))
    more = (("application", 574, 702), ("application's use", 883, 1395))
    texts = tuple(Field(f"{name} identifier", volume[a:b].rstrip().decode("latin-1")) for name, a, b in names + more)
    return (*(_volume_time(name, volume[at : at + 17]) for name, at in TIMES), *texts)


def _volume_time(name: str, data: bytes) -> Field:
    """Sixteen digits and a zone in quarters of an hour."""
    text = data[:16].decode("latin-1")
    try:
        parts = (int(text[:4]), *(int(text[at : at + 2]) for at in range(4, 14, 2)))
        zone = struct.unpack("b", data[16:])[0]
        return Field(f"volume {name} time", calendar.timegm((*parts, 0, 0, 0)) - 900 * zone, time=True)
    except (ValueError, OverflowError, struct.error):
        return Field(f"volume {name} time", text, time=True)
