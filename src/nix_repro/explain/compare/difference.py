"""One place in which two outputs differ, before anything is said about why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from nix_repro.explain.compare.blob import Blob
from nix_repro.explain.compare.containers import Field

DifferenceKind = Literal[
    "content",
    "container",
    "wrapper",
    "field",
    "order",
    "name",
    "missing",
    "extra",
    "kind",
    "executable",
    "target",
    "follows",
    "unreadable",
]


@dataclass(frozen=True)
class Difference:
    """`path` is relative to the output, printable, with members of archives after `!`.

    `content` has both `blobs` and the offset of the `first` byte that differs. `container` has both blobs too and
    stands before the differences found inside; so has `wrapper`, which says that the inside is equal and only the
    packing differs. `follows` is a part that holds offsets and counts of others, which differ too. `field` has the
    differing header `fields`, one pair per member concerned. The others have `a` and `b`: names, targets, kinds, or
    names in order, one per line.
    """

    path: str
    kind: DifferenceKind
    a: bytes = b""
    b: bytes = b""
    blobs: tuple[Blob, Blob] | None = None
    first: int = 0
    fields: tuple[tuple[Field, Field], ...] = ()
    inside: str = ""
    format: str = ""
