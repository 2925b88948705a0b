"""cpio archives of the portable format with hexadecimal headers, as initial RAM disks and RPM payloads are."""

from __future__ import annotations

from nix_repro.explain import printable
from nix_repro.explain.budget import Budget
from nix_repro.explain.compare.blob import Blob, SliceBlob
from nix_repro.explain.compare.containers.model import Container, Field, Member, NotThis

#: Bytes of a member's header.
HEADER = 110
MAGIC = (b"070701", b"070702")
LAST = b"TRAILER!!!"
REGULAR = 0o100000
#: Header fields of eight digits each after the magic: name, place. Sizes follow from the content.
FIELDS = (("inode", 0), ("uid", 2), ("gid", 3), ("links", 4), ("device major", 7), ("device minor", 8))


def open_cpio(blob: Blob, budget: Budget) -> Container:
    members: list[Member] = []
    offset = 0
    while len(header := blob.read(offset, HEADER)) == HEADER and header[:6] in MAGIC:
        if len(members) >= budget.entries or budget.expired():
            budget.say("an archive has more members than are compared")
            break
        numbers = [int(header[at : at + 8], 16) for at in range(6, HEADER, 8)]
        mode, size, length = numbers[1], numbers[6], numbers[11]
        if not 0 < length <= 4096:
            raise NotThis
        name = blob.read(offset + HEADER, length).rstrip(b"\0")
        start = _aligned(offset + HEADER + length)
        if name == LAST:
            break
        content = SliceBlob(blob, start, min(size, max(0, blob.size - start))) if mode & 0o170000 == REGULAR else None
        target = blob.read(start, min(size, 4096)) if content is None else b""
        members.append(Member(printable.name(name), content, _fields(numbers, target)))
        offset = _aligned(start + size)
    if not members:
        raise NotThis
    return Container("cpio", members)


def _aligned(offset: int) -> int:
    return -(-offset // 4) * 4


def _fields(numbers: list[int], target: bytes) -> tuple[Field, ...]:
    return (
        Field("cpio mtime", numbers[5], time=True),
        Field("mode", f"{numbers[1]:o}"),
        *(Field(name, numbers[place]) for name, place in FIELDS),
        Field("link target", target.decode("latin-1")),
    )
