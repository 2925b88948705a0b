"""Digests and sizes of what differs: a token that equals one, on both sides, derives from that difference."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import zlib
from collections import deque
from contextlib import ExitStack
from dataclasses import dataclass

from nix_repro.explain.budget import Budget
from nix_repro.explain.compare.blob import Blob, FileBlob, chunks
from nix_repro.explain.compare.difference import Difference
from nix_repro.nix.hashes import BASE32

ALGORITHMS = ("md5", "sha1", "sha224", "sha256", "sha384", "sha512", "blake2b")
#: Hexadecimal digits a token needs at least: names and versions carry shortened digests.
SHORTEST = 6
DIGEST_LENGTHS = (32, 40, 56, 64, 96, 128)
#: What stands before a digest and tells the algorithm, as in SRI.
PREFIX = re.compile(r"^(?:sha\d{1,3}|md5)[-_:]")
#: Where the linker writes its digest of an ELF file, after a header of 16 bytes.
BUILD_ID = "section .note.gnu.build-id"
#: Differing files that are remembered (two descriptors each).
MOST = 256
#: Bytes of them that may be read.
READ = 512 << 20


@dataclass
class Digested:
    """Something that differs: its path, the sizes, and per side the digests in hexadecimal, once they were asked
    for."""

    path: str
    sizes: tuple[int, int]
    files: tuple[FileBlob, FileBlob] | None = None
    found: tuple[tuple[str, ...], tuple[str, ...]] | None = None
    of_input: bool = False
    kinds: tuple[str, ...] = (*ALGORITHMS, "crc32", "git blob")

    def digests(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        if self.found is None and self.files is not None:
            self.found = digests(self.files[0]), digests(self.files[1])
        return self.found or ((), ())


class Sources:
    """What differs, to look tokens up in. Files are read only when there is a token; members of archives, which are
    gone by then, at once."""

    def __init__(self, budget: Budget, open_files: ExitStack) -> None:
        self.budget = budget
        self.open_files = open_files
        self.files = self.ids = 0
        self.left = READ
        self.left_out = False
        self.by_digits: dict[str, list[tuple[Digested, str, str, str]]] = {}
        self.by_size: dict[tuple[int, int], Digested] = {}
        self.waiting: deque[Digested] = deque()

    def take(self, difference: Difference, path: str, *, of_input: bool = False) -> None:
        """Remembers what differs, unless it is a section of a binary, which nobody takes a digest of; of a build-id,
        the id itself, which names and links repeat."""
        if difference.blobs is None:
            return
        if difference.inside.endswith(BUILD_ID) and self.ids < MOST:
            self.ids += 1
            a, b = (blob.read(16, 64).hex() for blob in difference.blobs)
            self.waiting.append(Digested(path, (0, 0), found=((a,), (b,)), of_input=of_input, kinds=("build-id",)))
        elif "section " not in difference.inside:
            self.add(path, *difference.blobs, of_input=of_input)

    def add(self, path: str, a: Blob, b: Blob, *, of_input: bool = False) -> None:
        sizes = a.size, b.size
        if self.files >= MOST or sum(sizes) > self.left or self.budget.expired():
            self.left_out = True
            return
        self.files += 1
        self.left -= sum(sizes)
        if isinstance(a, FileBlob) and isinstance(b, FileBlob):
            files = a.duplicate(), b.duplicate()
            for file in files:
                self.open_files.callback(file.close)
            self.waiting.append(Digested(path, sizes, files=files, of_input=of_input))
        else:
            self.waiting.append(Digested(path, sizes, found=(digests(a), digests(b)), of_input=of_input))

    def find(self, a: bytes, b: bytes, path: str, *, own: bool = False) -> tuple[Digested, str] | None:
        """What both tokens are a digest or the size of, and which it is. Nothing holds its own digest, but a name can
        be that of what it names: then `own`."""
        self._index()
        candidates = [
            (source, kind)
            for x, y in zip(_spellings(a), _spellings(b), strict=True)
            for source, kind, left, right in self.by_digits.get(x[:SHORTEST], ())
            if left != right and left.startswith(x) and right.startswith(y)
        ]
        if (sized := self.by_size.get((_number(a), _number(b)))) is not None:
            candidates.append((sized, "size"))
        found = [hit for hit in candidates if hit[0].path != path]
        if own:
            found = [hit for hit in candidates if hit[0].path == path] + found
        if not found and self.left_out:
            self.budget.say(
                "digests of very many or very large files are not computed, so checksums of them may go unrecognised"
            )
        return found[0] if found else None

    def _index(self) -> None:
        """Makes what was added since the last time findable: by the first digits on side a, and by both sizes."""
        while self.waiting and not self.budget.expired():
            source = self.waiting.popleft()
            if source.sizes[0] != source.sizes[1]:
                self.by_size.setdefault(source.sizes, source)
            for kind, left, right in zip(source.kinds, *source.digests(), strict=False):
                self.by_digits.setdefault(left[:SHORTEST], []).append((source, kind, left, right))


def _number(token: bytes) -> int:
    return int(token) if token.isdigit() and len(token) <= 20 else -1


#: Pieces of a name that may be a digest: up to a dot, and runs of letters and digits.
PIECES = (re.compile(rb"[^.]+"), re.compile(rb"[0-9A-Za-z_+=-]{6,}"), re.compile(rb"[0-9A-Za-z]{6,}"))


def name_tokens(a: bytes, b: bytes) -> tuple[tuple[bytes, bytes], ...]:
    """Pieces of two names, with their directories, that correspond and may be digests. Object stores make a directory
    of the first digits."""
    parts = a.split(b"/")[-3:], b.split(b"/")[-3:]
    joined = [(b"".join(parts[0][-n:]), b"".join(parts[1][-n:])) for n in range(1, min(map(len, parts)) + 1)]
    found = dict.fromkeys(joined)
    for left, right in joined:
        for pattern in PIECES:
            pieces = pattern.findall(left), pattern.findall(right)
            if len(pieces[0]) == len(pieces[1]):
                found.update(dict.fromkeys(pair for pair in zip(*pieces, strict=True) if pair[0] != pair[1]))
    return tuple(found)[:32]


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
        out.append(
            base64.b64decode(padded + "=" * (-len(padded) % 4), validate=True).hex() if len(padded) >= 16 else "-"
        )
    except (binascii.Error, ValueError):
        out.append("-")
    out.append(token.hex() if len(token) in (4, 16, 20, 32, 48, 64) else "-")
    out.append(token[::-1].hex() if len(token) == 4 else "-")
    out.append(_nix32(text) if len(text) in (26, 32, 52, 103) else "-")
    return out


def _nix32(text: str) -> str:
    """Nix's base 32: least significant digit last in the alphabet without e, o, t and u."""
    number = 0
    for char in text:
        digit = BASE32.find(char)
        if digit < 0:
            return "-"
        number = number << 5 | digit
    size = len(text) * 5 // 8
    return number.to_bytes(size + 1, "little")[:size].hex()
