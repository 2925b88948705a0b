"""Addresses, process numbers and other small numbers, and what only looks like them."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from sides import explain

HEAD = b"\0\xff\1\2" * 4
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


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (b"at 0x1f2e3d4c\n", b"at 0x9a8b7c6d\n"),  # 32 bits
        (b"offset 0x55a1b2c3d4\n", b"offset 0x5510203040\n"),  # 40 bits
        (b"crc at 0x7f31c2\n", b"crc at 0x7fa800\n"),
        (b"color 0x60aabbccdd\n", b"color 0x6011223344\n"),
        (b"hash=0x7e12345678\n", b"hash=0x7eabcdef01\n"),
    ],
)
def test_numbers_of_32_bits_are_surely_no_addresses(tmp_path: Path, a: bytes, b: bytes) -> None:
    assert not any(item.cause == "address-layout" for item in explain(tmp_path, a, b))


@pytest.mark.parametrize(
    ("a", "b", "confidence"),
    [
        (b"<object at 0x7f31c2a4d0f0>", b"<object at 0x7fa8009c60f0>", "high"),
        (b"table: 0x5581aa30d010", b"table: 0x5602f17cc010", "high"),
        (b"0xaaaad1230a90 main", b"0xaaaae4560a90 main", "high"),
        (b"<object at 0x1a2b3c0>", b"<object at 0x2b3c4d0>", "low"),  # a program that is not moved as a whole
    ],
)
def test_addresses_in_a_text(tmp_path: Path, a: bytes, b: bytes, confidence: str) -> None:
    (finding,) = explain(tmp_path, a, b)
    assert (finding.cause, finding.confidence) == ("address-layout", confidence)


def test_a_number_of_32_bits_below_another_one_is_no_address(tmp_path: Path) -> None:
    a, b = (b"\x80\1\2\3" * 4 + struct.pack("<II", value, 0x7F31) + TAIL for value in (0xC2A4D0F0, 0x109C60F0))
    assert "address-layout" not in {item.cause for item in explain(tmp_path, a, b)}


@pytest.mark.parametrize(
    ("a", "b", "cause"),
    [
        (b"sum = 0.30000000000000004\n", b"sum = 0.30000000000000010\n", "parallelism"),
        (b"energy: -1234.567890123456\n", b"energy: -1234.567890123401\n", "parallelism"),
        (
            HEAD + struct.pack("<d", 12.5),
            HEAD + struct.pack("<d", 12.5 + 4e-15),
            "parallelism",
        ),
        (b"loss 1.234567890123e-05\n", b"loss 1.234567890129e-05\n", "parallelism"),
        (HEAD + struct.pack("<d", 12.5), HEAD + struct.pack("<d", 12.6), ""),
        (b"sum = 0.31\n", b"sum = 0.32\n", ""),
        (b"sum = 0.300000000004\n", b"sum = 0.399999900004\n", ""),
        (HEAD + struct.pack("<Q", 12), HEAD + struct.pack("<Q", 13), ""),  # a counter
    ],
)
def test_sums_of_the_same_numbers(tmp_path: Path, a: bytes, b: bytes, cause: str) -> None:
    found = explain(tmp_path, {"x": a}, {"x": b})
    assert ("parallelism" in {item.cause for item in found}) == (cause == "parallelism")
    assert all(item.confidence == "low" for item in found)
    if cause:
        assert "one core would tell" in found[0].because
