"""Compiled Python modules: a header of four words (PEP 552), then marshalled code, which is never unmarshalled."""

from __future__ import annotations

from nix_repro.explain.budget import Budget
from nix_repro.explain.compare.blob import Blob, SliceBlob
from nix_repro.explain.compare.containers.model import Container, Field, Member, NotThis


def open_pyc(blob: Blob, _budget: Budget) -> Container:
    head = blob.read(0, 17)
    if len(head) < 17 or head[16] & 0x7F != ord("c"):
        raise NotThis
    flags = int.from_bytes(head[4:8], "little")
    if flags & 1:
        header = [Field("source hash", head[8:16].hex())]
    else:
        written, size = (int.from_bytes(head[at : at + 4], "little") for at in (8, 12))
        header = [Field("pyc mtime", written, time=True), Field("source size", size)]
    return Container(
        "pyc",
        [Member("", SliceBlob(blob, 16, blob.size), inside="in the marshalled code")],
        (Field("flags", flags), *header),
    )
