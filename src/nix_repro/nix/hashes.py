"""Nix's two spellings of a SHA-256: its own base 32 (alphabet and bit order from libutil/hash.cc), and SRI."""

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
    algorithm, _, digest = text.partition("-")
    number = int.from_bytes(base64.b64decode(digest), "little")
    return f"{algorithm}:" + "".join(BASE32[number >> (5 * place) & 31] for place in reversed(range(52)))
