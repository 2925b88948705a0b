"""tar archives. A compressed one is a compressor's content, and so arrives here too."""

from __future__ import annotations

import tarfile

from nix_repro.explain import printable
from nix_repro.explain.budget import Budget
from nix_repro.explain.compare.blob import Blob, SliceBlob, as_file
from nix_repro.explain.compare.containers.model import Container, Extent, Field, Member, rest

#: Records of the pax format that are instants.
TIMES = ("mtime", "atime", "ctime")


#: Bytes of a header, and what sizes are rounded up to.
BLOCK = 512


def open_tar(blob: Blob, budget: Budget) -> Container:
    members: list[Member] = []
    extents: list[Extent] = []
    with tarfile.open(fileobj=as_file(blob), mode="r:", errors="surrogateescape") as archive:
        for info in archive:
            name = printable.name(info.name.encode("utf-8", "surrogateescape"))
            if budget.full(len(members)):
                extents.append(Extent(info.offset, blob.size))
                break
            # Types that are not known and sparse files have content too, as it is stored.
            stored = archive.offset - info.offset_data
            size = info.size if info.isreg() and not info.issparse() else stored
            content = SliceBlob(blob, info.offset_data, size) if info.isreg() or stored > 0 else None
            members.append(Member(name, content, _fields(info) + _header(blob, info)))
            extents.append(Extent(info.offset, info.offset_data + max(0, size), name))
    return Container("tar", [*members, *rest(blob, extents)])


def _header(blob: Blob, info: tarfile.TarInfo) -> tuple[Field, ...]:
    """What tarfile leaves out: devices, the format's marks, and the headers of extended headers, which have names and
    times of their own."""
    start = max(info.offset, info.offset_data - BLOCK)
    own = blob.read(start, BLOCK)
    extended = blob.read(info.offset, min(BLOCK, start - info.offset))
    when = extended[136:148].rstrip(b" \0")
    return (
        Field("format", own[257:265].hex()),
        Field("device", f"{info.devmajor}, {info.devminor}"),
        Field("extended header's name", extended[:100].rstrip(b"\0").decode("latin-1")),
        Field("tar mtime of the extended header", int(when, 8) if when.isdigit() else when.hex(), time=True),
        Field("extended header's owner and mode", extended[100:124].hex()),
    )


def _fields(info: tarfile.TarInfo) -> tuple[Field, ...]:
    records = {name: value for name, value in sorted(info.pax_headers.items())[:50] if name != "path"}
    times = tuple(Field(f"tar {name}", _seconds(records[name]), time=True) for name in TIMES[1:] if name in records)
    others = tuple(Field(f"pax {name}", value) for name, value in records.items() if name not in TIMES)
    return (
        Field("tar mtime", _seconds(records.get("mtime", str(int(info.mtime)))), time=True),
        *times,
        Field("mode", f"{info.mode:o}"),
        Field("uid", info.uid),
        Field("gid", info.gid),
        Field("user", info.uname),
        Field("group", info.gname),
        Field("type", info.type.decode("latin-1")),
        Field("link target", info.linkname),
        *others,
    )


def _seconds(value: str) -> int | float | str:
    """What a record says, as it stands when that is no time."""
    try:
        seconds = float(value)
    except ValueError:
        return value
    if not -(1 << 40) < seconds < 1 << 40:
        return value
    return int(seconds) if seconds.is_integer() else seconds
