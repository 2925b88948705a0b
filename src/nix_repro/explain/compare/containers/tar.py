"""tar archives. A compressed one is a compressor's content, and so arrives here too."""

from __future__ import annotations

import tarfile

from nix_repro.explain import printable
from nix_repro.explain.budget import Budget
from nix_repro.explain.compare.blob import Blob, SliceBlob, as_file
from nix_repro.explain.compare.containers.model import Container, Field, Member

#: Records of the pax format that are instants.
TIMES = ("mtime", "atime", "ctime")


def open_tar(blob: Blob, budget: Budget) -> Container:
    members: list[Member] = []
    with tarfile.open(fileobj=as_file(blob), mode="r:", errors="surrogateescape") as archive:
        for info in archive:
            if len(members) >= budget.entries or budget.expired():
                budget.say("an archive has more members than are compared")
                break
            content = SliceBlob(blob, info.offset_data, info.size) if info.isreg() and not info.issparse() else None
            members.append(Member(printable.name(info.name.encode("utf-8", "surrogateescape")), content, _fields(info)))
    return Container("tar", members)


def _fields(info: tarfile.TarInfo) -> tuple[Field, ...]:
    records = {name: value for name, value in sorted(info.pax_headers.items())[:50] if name != "path"}
    times = tuple(
        Field(f"tar {name}", value, time=True)
        for name in TIMES[1:]
        if (value := _seconds(records.get(name))) is not None
    )
    others = tuple(Field(f"pax {name}", value) for name, value in records.items() if name not in TIMES)
    return (
        Field("tar mtime", int(info.mtime), time=True),
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


def _seconds(value: str | None) -> int | None:
    try:
        return int(float(value)) if value else None
    except (ValueError, OverflowError):
        return None
