"""What every container format is turned into before two of them are compared."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from nix_repro.explain.compare.blob import Blob


class NotThis(Exception):
    """The bytes are no container of this format after all, or a broken one: compare them as they are."""


class Field(NamedTuple):
    """A header field. With `time`, an instant in epoch seconds; with `local`, one in the zone of whoever wrote it."""

    name: str
    value: int | str
    time: bool = False
    local: bool = False


@dataclass(frozen=True)
class Member:
    """A part of a container. Parts without a name of their own, such as what a compressor wraps or a section of a
    binary, are described by `inside` and add nothing to the path. `blob` is null for members without content."""

    name: str
    blob: Blob | None
    fields: tuple[Field, ...] = ()
    inside: str = ""


@dataclass(frozen=True)
class Container:
    format: str
    members: list[Member]
    fields: tuple[Field, ...] = ()
    keys: list[str] = field(init=False)

    def __post_init__(self) -> None:
        seen: dict[str, int] = {}
        keys = []
        for member in self.members:
            count = seen[member.name] = seen.get(member.name, 0) + 1
            keys.append(member.name if count == 1 else f"{member.name} ({count})")
        object.__setattr__(self, "keys", keys)
