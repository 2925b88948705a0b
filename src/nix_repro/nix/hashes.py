"""Nix's spellings of a hash: its own base 32 (alphabet and bit order from libutil/hash.cc), SRI, and base 16."""

from __future__ import annotations

import base64

#: The digits, least first: those without e, o, t and u.
BASE32 = "0123456789abcdfghijklmnpqrsvwxyz"


def sri(text: str) -> str:
    """`sha256:<base 32>` as `sha256-<base 64>`."""
    algorithm, _, digest = text.partition(":")
    number = 0
    for char in digest:
        number = number * 32 + BASE32.index(char)
    return f"{algorithm}-{base64.b64encode(number.to_bytes(32, 'little')).decode()}"


def nix32(text: str) -> str:
    """`sha256-<base 64>` as `sha256:<base 32>`."""
    return f"{text.partition('-')[0]}:{spellings(text)[2]}"


def spellings(text: str) -> tuple[str, ...]:
    """`<algorithm>-<base 64>` as people may have written it: so, in base 64, in Nix's base 32, and in base 16."""
    _, _, encoded = text.partition("-")
    digest = base64.b64decode(encoded)
    number, places = int.from_bytes(digest, "little"), (len(digest) * 8 + 4) // 5
    own = "".join(BASE32[number >> (5 * place) & 31] for place in reversed(range(places)))
    return text, encoded, own, digest.hex()
