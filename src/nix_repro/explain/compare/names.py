"""Entries that are the same but for their own name, as when it holds a date or a token."""

from __future__ import annotations

import re
from collections.abc import Sequence

#: What may change in a name that is otherwise the same: runs of digits, and long runs of letters and digits.
VARIABLE = re.compile(
    rb"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4,12}){4}|[0-9A-Za-z_]{8,}|[0-9]+|(?<=\.)[0-9A-Za-z]{6}(?![0-9A-Za-z])"
)

#: What says by which program a file is compressed.
COMPRESSED = re.compile(rb"\.(?:gz|xz|zst|bz2|lzma|lz)$")


def recompressed(a: bytes, b: bytes) -> bool:
    """Do the names differ in nothing but the compressor?"""
    return a != b and b"." in COMPRESSED.sub(b".", a)[-1:] and COMPRESSED.sub(b".", a) == COMPRESSED.sub(b".", b)


def renames(missing: Sequence[bytes], extra: Sequence[bytes]) -> list[tuple[bytes, bytes]]:
    """Entries whose own name differs: alike but for digits, tokens and the compressor, and as many of that shape on
    either side."""
    shapes: dict[bytes, tuple[list[bytes], list[bytes]]] = {}
    for side, names in enumerate((missing, extra)):
        for name in names:
            shape = VARIABLE.sub(b"*", COMPRESSED.sub(b".", name))
            shapes.setdefault(shape, ([], []))[side].append(name)
    pairs = [pair for old, new in shapes.values() if len(old) == len(new) for pair in zip(old, new, strict=True)]
    if not pairs and len(missing) == len(extra) == 1 and missing[0].rpartition(b".")[2] == extra[0].rpartition(b".")[2]:
        return [(missing[0], extra[0])]
    return pairs
