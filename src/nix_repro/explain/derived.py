"""Digests and sizes of what differs: a token that equals one, on both sides, derives from that difference."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import zlib
from typing import NamedTuple

from nix_repro.explain.blob import Blob, chunks
from nix_repro.explain.budget import Budget

ALGORITHMS = ("md5", "sha1", "sha224", "sha256", "sha384", "sha512", "blake2b")
#: Hexadecimal digits a token needs at least: names and versions carry shortened digests.
SHORTEST = 6
DIGEST_LENGTHS = (32, 40, 56, 64, 96, 128)
NIX32 = "0123456789abcdfghijklmnpqrsvwxyz"
#: What stands before a digest and tells the algorithm, as in SRI.
PREFIX = re.compile(r"^(?:sha\d{1,3}|md5)[-_:]")
LARGEST = 256 << 20


class Source(NamedTuple):
    """Something that differs: its path, and per side the digests in hexadecimal and the size."""

    path: str
    digests: tuple[tuple[str, ...], tuple[str, ...]]
    sizes: tuple[int, int]


class Sources:
    """What differs, to look tokens up in."""

    def __init__(self, budget: Budget) -> None:
        self.budget = budget
        self.sources: list[Source] = []
        self.left = 512 << 20

    def add(self, path: str, a: Blob, b: Blob) -> None:
        """Remembers both contents; large ones only while that stays cheap."""
        size = a.size + b.size
        if size > self.left or max(a.size, b.size) > LARGEST or self.budget.expired():
            self.budget.say("digests of very large files are not computed, so checksums of them may go unrecognised")
            return
        self.left -= size
        self.sources.append(Source(path, (digests(a), digests(b)), (a.size, b.size)))

    def find(self, a: bytes, b: bytes, path: str) -> tuple[str, str] | None:
        """The path of what both tokens are a digest or the size of, and which it is."""
        spelled = _spellings(a), _spellings(b)
        for source in self.sources:
            if source.path == path:
                continue
            for number, (left, right) in enumerate(zip(*source.digests, strict=True)):
                if left != right and any(left.startswith(x) and right.startswith(y) for x, y in zip(*spelled, strict=False)):
                    return source.path, (*ALGORITHMS, "crc32", "git blob")[number]
            if a.isdigit() and b.isdigit() and (int(a), int(b)) == source.sizes and source.sizes[0] != source.sizes[1]:
                return source.path, "size"
        return None


def digests(blob: Blob) -> tuple[str, ...]:
    states = [hashlib.new(name, usedforsecurity=False) for name in ALGORITHMS]
    git = hashlib.sha1(b"blob %d\0" % blob.size, usedforsecurity=False)
    checksum = 0
    for chunk in chunks(blob):
        for state in (*states, git):
            state.update(chunk)
        checksum = zlib.crc32(chunk, checksum)
    return (*(state.hexdigest() for state in states), f"{checksum:08x}", git.hexdigest())


def _spellings(token: bytes) -> list[str]:
    """A token as hexadecimal digits in each encoding it can be read in, in a fixed order."""
    out = []
    text = PREFIX.sub("", token.decode("latin-1"))
    bare = text.lower().removeprefix("0x")
    out.append(bare if re.fullmatch(rf"[0-9a-f]{{{SHORTEST},128}}", bare) else "-")
    try:
        padded = text.rstrip("=").replace("-", "+").replace("_", "/")
        out.append(base64.b64decode(padded + "=" * (-len(padded) % 4), validate=True).hex() if len(padded) >= 16 else "-")
    except (binascii.Error, ValueError):
        out.append("-")
    out.append(token.hex() if len(token) in (4, 16, 20, 32, 48, 64) else "-")
    out.append(_nix32(text) if len(text) in (26, 32, 52, 103) else "-")
    return out


def _nix32(text: str) -> str:
    """Nix's base 32: least significant digit last in the alphabet without e, o, t and u."""
    number = 0
    for char in text:
        digit = NIX32.find(char)
        if digit < 0:
            return "-"
        number = number << 5 | digit
    size = len(text) * 5 // 8
    return number.to_bytes(size + 1, "little")[:size].hex()
