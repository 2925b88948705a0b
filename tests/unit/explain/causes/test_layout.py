"""Addresses, process numbers and other small numbers, and what only looks like them."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from sides import explain

TAIL = b"\0\xff\1\2" * 9


@pytest.mark.parametrize(
    ("values", "confidence"),
    [
        # Pages move as a whole, what is in them stays where it was.
        ((0x7F31C2A4D0F0, 0x7FA8009C60F0), "high"),
        ((0x5581AA30D010, 0x5602F17CC020), "low"),
    ],
)
def test_addresses_in_a_binary(tmp_path: Path, values: tuple[int, int], confidence: str) -> None:
    a, b = (b"\x80\1\2\3" * 3 + struct.pack("<Q", value) + TAIL for value in values)
    (finding,) = explain(tmp_path, a, b)
    assert (finding.cause, finding.confidence) == ("address-layout", confidence)
    assert f"{values[0]:#x} and {values[1]:#x}" in finding.because


@pytest.mark.parametrize(
    "values",
    [
        (0x1231C2A4D0F0, 0x7FA8009C60F0),
        (1 << 63, 3 << 62),
        # Read from four bytes before, it has an address's first bytes; but those in between are the same.
        (32561, 32680),
    ],
)
def test_other_numbers_are_no_addresses(tmp_path: Path, values: tuple[int, int]) -> None:
    a, b = (b"\x80\1\2\3" * 3 + struct.pack("<Q", value) + TAIL for value in values)
    assert "address-layout" not in {item.cause for item in explain(tmp_path, a, b)}


@pytest.mark.parametrize(
    ("a", "b", "cause"),
    [
        (b"n-48213 done", b"n-91877 done", "randomness"),
        # Counters and sizes are near each other, or small.
        (b"n-48213 done", b"n-48313 done", "unknown"),
        (b"n-213 done", b"n-877 done", "unknown"),
    ],
)
def test_large_numbers_that_have_nothing_in_common(tmp_path: Path, a: bytes, b: bytes, cause: str) -> None:
    (finding,) = explain(tmp_path, a, b)
    assert (finding.cause, finding.confidence) == (cause, "low")
