"""Which of several entries whose names say nothing, as in a store of objects, are the same but for a difference."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

from nix_repro.explain.compare.blob import open_file
from nix_repro.explain.compare.spans import common_prefix, common_suffix

#: Bytes of either end that are looked at.
ENDS = 512
#: Directories within each other that are looked into.
DEPTH = 3


@dataclass(frozen=True)
class Sketch:
    """What is known of an entry without its name: its kind, its size, and both ends of its content."""

    kind: int = 0
    size: int = 0
    head: bytes = b""
    tail: bytes = b""


def sketch(path: bytes, depth: int = DEPTH) -> Sketch:
    """Of a directory, that of its first entry."""
    try:
        state = os.lstat(path)
        if stat.S_ISDIR(state.st_mode):
            with os.scandir(path) as entries:
                names = [entry.name for entry in islice(entries, ENDS)]
            inner = sketch(os.path.join(path, min(names)), depth - 1) if names and depth else Sketch()
            return Sketch(len(names) << 32 | inner.kind | stat.S_IFDIR, inner.size, inner.head, inner.tail)
        if stat.S_ISREG(state.st_mode):
            with open_file(path) as blob:
                head = blob.read(0, ENDS)
                tail = blob.read(max(0, blob.size - ENDS), ENDS)
                return Sketch(state.st_mode, blob.size, head, tail)
        return Sketch(state.st_mode)
    except OSError:
        return Sketch()


def alike(left: bytes, right: bytes, old: Sequence[bytes], new: Sequence[bytes]) -> list[tuple[bytes, bytes]]:
    """Pairs the entries `old` of the directory `left` with as many `new` of `right`: the most alike first."""
    sketches = [sketch(os.path.join(left, name)) for name in old], [sketch(os.path.join(right, name)) for name in new]
    scores = sorted((-_likeness(a, b), m, n) for m, a in enumerate(sketches[0]) for n, b in enumerate(sketches[1]))
    free = set(range(len(old))), set(range(len(new)))
    pairs = []
    for _, m, n in scores:
        if m in free[0] and n in free[1]:
            free[0].remove(m)
            free[1].remove(n)
            pairs.append((old[m], new[n]))
    return sorted(pairs)


def _likeness(a: Sketch, b: Sketch) -> float:
    """From 0 to 5: the kind counts most, then both ends, then the size."""
    longest = max(1, min(ENDS, max(a.size, b.size)))
    ends = common_prefix(a.head, b.head) + common_suffix(a.tail, b.tail)
    # A format shows in the first bytes, whatever follows.
    begins = common_prefix(a.head[:16], b.head[:16]) / 16
    sizes = min(a.size, b.size) / max(1, a.size, b.size)
    return 2 * (a.kind == b.kind) + begins + ends / (2 * longest) + sizes
