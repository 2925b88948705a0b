"""cpio archives as initial RAM disks and RPM payloads are: with hexadecimal headers, with octal ones, and with binary
ones in either order of bytes."""

from __future__ import annotations

import struct
from itertools import pairwise
from typing import NamedTuple

from nix_repro.explain import printable
from nix_repro.explain.budget import Budget
from nix_repro.explain.compare.blob import Blob, SliceBlob
from nix_repro.explain.compare.containers.model import REST, Container, Extent, Field, Member, NotThis, aligned, rest

NEW = b"070701"
CHECKED = b"070702"
OLD = b"070707"
BINARY = (b"\xc7\x71", b"\x71\xc7")
MAGIC = (NEW, CHECKED, OLD, *BINARY)
LAST = b"TRAILER!!!"
REGULAR = 0o100000
NEW_FIELDS = ("inode", "uid", "gid", "links", "device major", "device minor", "special major", "special minor")
OLD_FIELDS = ("device", "inode", "uid", "gid", "links", "special device")
LONGEST_NAME = 4096


class Header(NamedTuple):
    """One member's header: its fields by name, the bytes that it takes, and what name and content are aligned to."""

    mode: int
    mtime: int
    size: int
    name_size: int
    others: tuple[tuple[str, int], ...]
    length: int
    alignment: int


def open_cpio(blob: Blob, budget: Budget) -> Container:
    members: list[Member] = []
    extents: list[Extent] = []
    offset = 0
    while (header := _header(blob, offset)) is not None:
        if budget.full(len(members)):
            extents.append(Extent(offset, blob.size))
            break
        if not 0 < header.name_size <= LONGEST_NAME:
            raise NotThis
        name = blob.read(offset + header.length, header.name_size).split(b"\0")[0]
        shown = printable.name(name)
        named = offset + header.length + header.name_size
        start = aligned(named, header.alignment)
        extents.append(Extent(offset, named if name == LAST else start, shown))
        if name == LAST:
            members.append(Member(REST + shown, None, _fields(header, b""), inside="the archive's end"))
            break
        content = SliceBlob(blob, start, header.size) if header.mode & 0o170000 == REGULAR else None
        target = blob.read(start, min(header.size, LONGEST_NAME)) if content is None else b""
        members.append(Member(shown, content, _fields(header, target)))
        extents.append(Extent(start, start + (header.size if content else len(target)), shown))
        offset = aligned(start + header.size, header.alignment)
    if not members or (blob.read(0, 2) in BINARY and members[-1].name != REST + LAST.decode()):
        raise NotThis
    return Container("cpio", [*members, *rest(blob, extents)])


def _header(blob: Blob, offset: int) -> Header | None:
    """The header at this place; null when there is none, or not all of one."""
    head = blob.read(offset, 110)
    if head[:6] in (NEW, CHECKED) and len(head) == 110:
        n = [int(head[at : at + 8], 16) for at in range(6, 110, 8)]
        others = zip(NEW_FIELDS, (n[0], n[2], n[3], n[4], n[7], n[8], n[9], n[10]), strict=True)
        mark = (("format", int(head[:6])), ("checksum", n[12] if head[:6] == NEW else 0))
        return Header(n[1], n[5], n[6], n[11], (*others, *mark), 110, 4)
    if head[:6] == OLD and len(head) >= 76:
        places = (6, 12, 18, 24, 30, 36, 42, 48, 59, 65, 76)
        device, inode, mode, uid, gid, links, special, mtime, name_size, size = (
            int(head[start:end], 8) for start, end in pairwise(places)
        )
        others = zip(OLD_FIELDS, (device, inode, uid, gid, links, special), strict=True)
        return Header(mode, mtime, size, name_size, tuple(others), 76, 1)
    if head[:2] in BINARY and len(head) >= 26:
        w = struct.unpack(("<" if head[:2] == BINARY[0] else ">") + "13H", head[:26])
        others = zip(OLD_FIELDS, (w[1], w[2], w[4], w[5], w[6], w[7]), strict=True)
        return Header(w[3], w[8] << 16 | w[9], w[11] << 16 | w[12], w[10], tuple(others), 26, 2)
    return None


def _fields(header: Header, target: bytes) -> tuple[Field, ...]:
    return (
        Field("cpio mtime", header.mtime, time=True),
        Field("mode", f"{header.mode:o}"),
        *(Field(name, value) for name, value in header.others),
        Field("link target", target.decode("latin-1")),
    )
