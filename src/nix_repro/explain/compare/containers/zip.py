"""zip and what is built on it: jar, whl, docx, apk, epub."""

from __future__ import annotations

import calendar
import zipfile
import zlib
from collections.abc import Iterator

from nix_repro.explain import printable
from nix_repro.explain.budget import Budget
from nix_repro.explain.compare.blob import CHUNK, Blob, MemoryBlob, StreamBlob, as_file
from nix_repro.explain.compare.containers.model import Container, Field, Member

#: Extra fields by their identifier, as listed in the appnote and in Info-ZIP's notes.
UNIX_TIMES = 0x5455
UNIX_OWNER = (0x7875, 0x7855)


def open_zip(blob: Blob, budget: Budget) -> Container:
    members: list[Member] = []
    with zipfile.ZipFile(as_file(blob)) as archive:
        for info in archive.infolist():
            if len(members) >= budget.entries or budget.expired():
                budget.say("an archive has more members than are compared")
                break
            content = None if info.is_dir() else Deferred(blob, info, budget)
            members.append(
                Member(printable.name(info.filename.encode("utf-8", "surrogateescape")), content, _fields(info))
            )
        return Container("zip", members, (Field("archive comment", archive.comment.decode("latin-1")),))


class Deferred:
    """A member's content, unpacked when its bytes are first asked for; most members are equal and known so by their
    CRC."""

    def __init__(self, archive: Blob, info: zipfile.ZipInfo, budget: Budget) -> None:
        self.archive, self.info, self.budget = archive, info, budget
        self.size = info.file_size
        self.checksum = (info.CRC, info.file_size)
        self.content: Blob | None = None

    def read(self, offset: int, length: int) -> bytes:
        if self.content is None:
            self.content = self._unpack()
            self.size = self.content.size
        return self.content.read(offset, length)

    def _unpack(self) -> Blob:
        out = StreamBlob()
        try:
            with zipfile.ZipFile(as_file(self.archive)) as archive, archive.open(self.info) as member:
                while piece := member.read(CHUNK):
                    if out.size + len(piece) > self.budget.member or not self.budget.unpack(len(piece)):
                        self.budget.say("a compressed file holds more than is unpacked for a comparison")
                        break
                    out.append(piece)
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, NotImplementedError, ValueError):
            return MemoryBlob(out.read(0, out.size))
        return out


def _fields(info: zipfile.ZipInfo) -> tuple[Field, ...]:
    try:
        written = calendar.timegm((*info.date_time, 0, 0, 0))
    except (ValueError, OverflowError):
        written = 0
    extras = dict(_extras(info.extra))
    times = extras.pop(UNIX_TIMES, b"")
    unix = (
        (Field("zip mtime", int.from_bytes(times[1:5], "little"), time=True),)
        if times[:1] and times[0] & 1 and len(times) >= 5
        else ()
    )
    owner = tuple(Field("owner", extras.pop(identifier).hex()) for identifier in UNIX_OWNER if identifier in extras)
    return (
        Field("zip time", written, time=True, local=True),
        *unix,
        *owner,
        Field("mode", f"{info.external_attr >> 16:o}"),
        Field("attributes", info.external_attr & 0xFFFF),
        Field("system", info.create_system),
        Field("version", info.create_version),
        Field("comment", info.comment.decode("latin-1")),
        *(Field(f"extra field {identifier:04x}", value.hex()) for identifier, value in sorted(extras.items())),
    )


def _extras(data: bytes) -> Iterator[tuple[int, bytes]]:
    while len(data) >= 4:
        size = int.from_bytes(data[2:4], "little")
        yield int.from_bytes(data[:2], "little"), data[4 : 4 + size]
        data = data[4 + size :]
