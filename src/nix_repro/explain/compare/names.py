"""Entries that are the same but for their own name, as when it holds a date or a token."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

#: What may change in a name that is otherwise the same: runs of digits, and long runs of letters and digits.
VARIABLE = re.compile(
    rb"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4,12}){4}|[0-9A-Za-z_]{8,}|[0-9]+|(?<=\.)[0-9A-Za-z]{6}(?![0-9A-Za-z])"
)
#: Directories of an object store are named by the first digits of what they hold.
FIRST_DIGITS = re.compile(rb"[0-9a-f]{2}\Z")
#: Names of which none comes before another: digests, and their first digits.
UNORDERED = re.compile(rb"(?<![0-9A-Za-z])[0-9A-Za-z]{16,}(?![0-9A-Za-z])|[0-9a-f]{2}\Z")
#: A digest in base 64, as it may stand in a name.
BASE64 = re.compile(rb"[0-9A-Za-z_+-]{20,}=*\Z")
#: Entries of one shape that are compared with each other.
MANY = 64

#: What says by which program a file is compressed.
COMPRESSED = re.compile(rb"\.(?:gz|xz|zst|bz2|lzma|lz)$")

#: Pairs as many names of either side, where the order of names says nothing.
Pairing = Callable[[Sequence[bytes], Sequence[bytes]], Sequence[tuple[bytes, bytes]]]


def recompressed(a: bytes, b: bytes) -> bool:
    """Do the names differ in nothing but the compressor?"""
    stem = COMPRESSED.sub(b".", a)
    return a != b and stem.endswith(b".") and stem == COMPRESSED.sub(b".", b)


def renames(
    missing: Sequence[bytes], extra: Sequence[bytes], *, pairing: Pairing | None = None
) -> list[tuple[bytes, bytes]]:
    """Entries whose own name differs: alike but for digits, tokens and the compressor, and as many of that shape on
    either side."""
    shapes: dict[bytes, tuple[list[bytes], list[bytes]]] = {}
    for side, names in enumerate((missing, extra)):
        for name in names:
            shape = b"**" if FIRST_DIGITS.match(name) else VARIABLE.sub(b"*", COMPRESSED.sub(b".", name))
            shapes.setdefault(shape, ([], []))[side].append(name)
    pairs: list[tuple[bytes, bytes]] = []
    for old, new in shapes.values():
        if len(old) != len(new):
            continue
        if pairing is not None and 1 < len(old) <= MANY and all(map(UNORDERED.search, [*old, *new])):
            pairs.extend(pairing(old, new))
        else:
            pairs.extend(zip(old, new, strict=True))
    if not pairs and len(missing) == len(extra) == 1:
        one, other = missing[0], extra[0]
        if one.rpartition(b".")[2] == other.rpartition(b".")[2] or (BASE64.match(one) and BASE64.match(other)):
            return [(one, other)]
    return pairs
