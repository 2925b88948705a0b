"""RPM packages: a lead, a header with signatures, the header proper, and a payload that is a compressed cpio."""

from __future__ import annotations

import struct

from nix_repro.explain.budget import Budget
from nix_repro.explain.compare.blob import Blob, SliceBlob
from nix_repro.explain.compare.containers.model import Container, Field, Member, NotThis, aligned

MAGIC = b"\xed\xab\xee\xdb"
LEAD = 96
HEADER = b"\x8e\xad\xe8\x01"
MANY_TAGS = 10_000
#: Tags that have a name here (rpmtag.h); the others are told by their number.
BUILD_TIME = 1006
NAMES = {1000: "name", 1001: "version", 1002: "release", 1007: "build host", 1022: "architecture", 1094: "cookie"}
#: Tags that follow from the files: digests of the payload and of files, sizes, where the header's region ends.
DERIVED = (62, 63, 1009, 1028, 1035, 1146, 5092, 5097, 5112, 5113, 5114, 5115, 5116)


def open_rpm(blob: Blob, _budget: Budget) -> Container:
    _, signed_end = _tags(blob, LEAD)
    tags, end = _tags(blob, aligned(signed_end, 8))
    built = tuple(
        Field("build time", int.from_bytes(blob.read(at, 4), "big"), time=True)
        for tag, at, _ in tags
        if tag == BUILD_TIME
    )
    members = [
        Member("lead", SliceBlob(blob, 0, LEAD), inside="the lead"),
        *(
            Member(
                f"tag {tag}",
                SliceBlob(blob, at, size),
                inside=f"the header's {NAMES.get(tag, f'tag {tag}')}",
                derived=tag in DERIVED,
            )
            for tag, at, size in tags
            if tag != BUILD_TIME
        ),
        Member("payload", SliceBlob(blob, end, blob.size), inside="the payload"),
        Member("signatures", SliceBlob(blob, LEAD, signed_end - LEAD), inside="the signatures", derived=True),
    ]
    return Container("rpm", members, built)


def _tags(blob: Blob, at: int) -> tuple[list[tuple[int, int, int]], int]:
    """A header's tags with where their values are and how long those are, up to the next; and where the header ends."""
    head = blob.read(at, 16)
    if len(head) < 16 or head[:4] != HEADER:
        raise NotThis
    count, size = struct.unpack(">II", head[8:])
    if count > MANY_TAGS:
        raise NotThis
    store = at + 16 + 16 * count
    rows = sorted(struct.iter_unpack(">IIII", blob.read(at + 16, 16 * count)), key=lambda row: row[2])
    ends = [row[2] for row in rows[1:]] + [size]
    return [(row[0], store + row[2], max(0, end - row[2])) for row, end in zip(rows, ends, strict=False)], store + size
