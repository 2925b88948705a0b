"""PEM: base64 between two lines. The names and dates of a certificate are in the bytes it encodes."""

from __future__ import annotations

import base64
import re

from nix_repro.explain.budget import Budget
from nix_repro.explain.compare.blob import Blob, MemoryBlob
from nix_repro.explain.compare.containers.model import Container, Member, NotThis

BLOCK = re.compile(rb"-----BEGIN ([A-Z0-9 ]{1,40})-----\r?\n([A-Za-z0-9+/=\r\n]{1,1000000})-----END \1-----\s*")


def open_pem(blob: Blob, _budget: Budget) -> Container:
    data = blob.read(0, 1 << 20)
    blocks = list(BLOCK.finditer(data))
    if sum(len(block[0]) for block in blocks) != blob.size:
        raise NotThis
    members = [
        Member("", MemoryBlob(base64.b64decode(block[2])), inside=f"in the {block[1].decode('latin-1').lower()}")
        for block in blocks
    ]
    return Container("pem", members)
