"""What every container format is turned into before two of them are compared."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from nix_repro.explain.compare.blob import CHUNK, Blob, SliceBlob

#: Starts the key of a part that is no member: what stands before, between and after them.
REST = "\0"


class NotThis(Exception):
    """The bytes are no container of this format after all, or a broken one: compare them as they are."""


class Field(NamedTuple):
    """A header field. With `time`, an instant in epoch seconds; with `local`, one in the zone of whoever wrote it."""

    name: str
    value: int | float | str
    time: bool = False
    local: bool = False


@dataclass(frozen=True)
class Member:
    """A part of a container. Parts without a name of their own, such as what a compressor wraps or a section of a
    binary, are described by `inside` and add nothing to the path. `blob` is null for members without content. A
    `derived` part follows from the others: it is looked into only when those are equal."""

    name: str
    blob: Blob | None
    fields: tuple[Field, ...] = ()
    inside: str = ""
    derived: bool = False


@dataclass(frozen=True)
class Container:
    """`packed` says that some of it is compressed, and that every byte outside of the compressed parts is in a member,
    in a field, or fixed by those: when these are equal, then only the packing differs."""

    format: str
    members: list[Member]
    fields: tuple[Field, ...] = ()
    packed: bool = False
    keys: list[str] = field(init=False)

    def __post_init__(self) -> None:
        seen: dict[str, int] = {}
        keys = []
        for member in self.members:
            count = seen[member.name] = seen.get(member.name, 0) + 1
            keys.append(member.name if count == 1 else f"{member.name} ({count})")
        object.__setattr__(self, "keys", keys)


class Extent(NamedTuple):
    """Bytes [start, end) of a container that its members and fields account for; `name` is the member's."""

    start: int
    end: int
    name: str = ""


def aligned(offset: int, alignment: int) -> int:
    """The first place from the offset on that is a multiple of `alignment`."""
    return -(-offset // alignment) * alignment


def rest(blob: Blob, extents: Iterable[Extent], what: str = "archive") -> list[Member]:
    """What no extent covers, as members to compare and to look into: before, between and after the others. Zeros
    before it are padding, whose length follows from what is padded."""
    members: list[Member] = []
    position, last, first = 0, "", True
    for extent in (*sorted(extents), Extent(blob.size, blob.size + 1)):
        start, end = max(0, min(extent.start, blob.size)), extent.end
        if start > position and (gap := _stripped(blob, position, start)) is not None:
            if first:
                name, where = f"{REST}<", f"before the {what}"
            elif start == blob.size:
                name, where = f"{REST}>", f"after the end of the {what}"
            else:
                name, where = f"{REST}{last}", f"between the members, after {last}" if last else "between the members"
            members.append(Member(name, gap, inside=where))
        if end > position:
            position, last, first = end, extent.name, False
    return members


def _stripped(blob: Blob, start: int, end: int) -> SliceBlob | None:
    """The bytes without the zeros before them; null when there are only zeros. Those after may be a format's own."""
    while start < end and (piece := blob.read(start, min(CHUNK, end - start))):
        kept = piece.lstrip(b"\0")
        start += len(piece) - len(kept)
        if kept:
            return SliceBlob(blob, start, end - start)
    return None
