"""What is drawn at random, as text and as bytes, and what is not said to be."""

from __future__ import annotations

import random
import uuid
from pathlib import Path

import pytest

from sides import explain


def drawn(seed: int) -> bytes:
    return uuid.UUID(bytes=random.Random(seed).randbytes(16), version=4).bytes  # noqa: S311


def test_a_random_uuid_in_a_binary(tmp_path: Path) -> None:
    a, b = (b"\0\xff\1\2" * 8 + drawn(seed) + b"\0\xff\1\2" * 8 for seed in (1, 2))
    (finding,) = explain(tmp_path, a, b)
    assert (finding.cause, finding.confidence) == ("randomness", "high")
    assert "a random UUID (version 4)" in finding.because
    # As many bytes of another shape might as well be a digest.
    a, b = (side.replace(drawn(seed), drawn(seed)[::-1]) for seed, side in ((1, a), (2, b)))
    (finding,) = explain(tmp_path, a, b)
    assert (finding.cause, finding.confidence) == ("randomness", "low")


@pytest.mark.parametrize(
    ("a", "b", "because"),
    [
        (b"run k3x9qa1z ends", b"run z0ab7q7w ends", "a token of mixed letters and digits"),
        (b"run kQxWmZ ends", b"run TzRbNa ends", "a token of mixed letters and digits"),
        (b"w = 0.70710678118", b"w = 0.31830988618", "a floating-point number of many digits"),
        (b"1 5 -3 8 2", b"9 2 4 -7 6", "numbers in the same places that have nothing in common"),
    ],
)
def test_tokens_and_numbers(tmp_path: Path, a: bytes, b: bytes, because: str) -> None:
    (finding,) = explain(tmp_path, a, b)
    assert (finding.cause, finding.confidence) == ("randomness", "low")
    assert because in finding.because


@pytest.mark.parametrize(
    ("a", "b"),
    [
        # Of unlike length: no digest of one algorithm, nor two draws of one generator.
        (b"rev 1a2b3c4", b"rev 9f8e7d6c5b4a"),
        (b"run parseXML ends", b"run readJSON ends"),
        (b"sizes 5", b"sizes 9"),
    ],
)
def test_near_misses(tmp_path: Path, a: bytes, b: bytes) -> None:
    (finding,) = explain(tmp_path, a, b)
    assert "a hexadecimal token" not in finding.because
    assert "mixed letters" not in finding.because
