"""Machine code: which instruction sets it uses. No disassembler is needed to see that one side has vectors and the
other has none."""

from __future__ import annotations

import re
from collections.abc import Callable

from nix_repro.explain.causes.model import Match, Pair, paired, spans
from nix_repro.explain.context import Context


def _bytes(wanted: Callable[[int], bool]) -> bytes:
    return b"[" + b"".join(rb"\x%02x" % code for code in range(256) if wanted(code)) + b"]"


#: The prefixes of x86's vector instructions in 64-bit code, by the bits that are fixed in them (Intel's manual, volume
#: 2, 2.3 and 2.7), and for the shortest one an opcode that compilers choose: moves, arithmetic, comparisons, shuffles.
VEX = re.compile(
    rb"\xc5[\x80-\xff][\x10-\x17\x28-\x2f\x51-\x7f\xc2\xc4-\xc6\xd0-\xfe]|\xc4"
    + _bytes(lambda code: code & 0x1F in (1, 2, 3))
    + rb"[\x01-\x85\xf9-\xfd]",
    re.DOTALL,
)
EVEX = re.compile(
    rb"\x62"
    + _bytes(lambda code: code & 0x0F in (1, 2, 3))
    + _bytes(lambda code: code & 4 == 4)
    + _bytes(lambda code: code & 0x97 in (0, 8, 9, 10)),
    re.DOTALL,
)
#: Fewer such instructions may be operands that look so,
FEWEST = 6
#: or fewer times as many as on the other side,
TIMES = 8
#: or a smaller share of the bytes (0 to 1).
SHARE = 0.01


#: As Go's linker writes it before the code: digests of what was compiled and of what came out.
GO_BUILD_ID = re.compile(rb'(?<=Go build ID: ")[\w./+=-]{20,}(?=")')


def go_build_id(pair: Pair, _context: Context) -> Match | None:
    found = paired(GO_BUILD_ID, pair)
    words = "a Go build ID is made of digests of other parts of the program"
    return Match("unknown", "low", words, spans(found), form="derived") if found else None


def instruction_set(a: bytes, b: bytes) -> str | None:
    """Which instructions only one side's code uses: `AVX`, `AVX-512`, or null when the sides agree in that."""
    for name, pattern in (("AVX-512", EVEX), ("AVX", VEX)):
        few, many = sorted((len(pattern.findall(code)), len(code)) for code in (a, b))
        if many[0] >= max(FEWEST, TIMES * few[0], SHARE * many[1]):
            return name
    return None
