"""What is drawn at random, as text and as bytes, and what is not said to be."""

from __future__ import annotations

import random
import uuid
from pathlib import Path

import pytest

from nix_repro.explain.causes.randomness import is_noise, jumbled
from sides import causes, explain

NOISE_A, NOISE_B = (random.Random(seed).randbytes(256) for seed in (1, 2))  # noqa: S311
UUID_A, UUID_B = b"9b2d7a54-8f2f-4d2c-9e0a-0a2b6f6a7c11", b"3f1c2e90-1d7b-4a55-8c1d-77aa10b2c3d4"


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


@pytest.mark.parametrize(
    ("a", "b", "confidence"),
    [
        (b"id=" + UUID_A, b"id=" + UUID_B, "high"),
        (b"dir=/tmp/tmp.A8sKq2ZxPw", b"dir=/tmp/tmp.b71LmNrT0c", "high"),
        (b"token: 8f14e45fceea167a", b"token: c9f0f895fb98ab91", "low"),
        (b"key = dGhlIHF1aWNrIGJyb3duIGZveA==", b"key = anVtcHMgb3ZlciB0aGUgbGF6eQ==", "low"),
        (NOISE_A, NOISE_B, "high"),
        (b"HEAD\0" + NOISE_A, b"HEAD\0" + NOISE_B[:-3], "low"),
        (b"HEAD" + bytes(40) + NOISE_A[:32] + bytes(40), b"HEAD" + bytes(40) + NOISE_B[:32] + bytes(40), "low"),
    ],
)
def test_randomness(tmp_path: Path, a: bytes, b: bytes, confidence: str) -> None:
    (finding,) = explain(tmp_path, a, b)
    assert (finding.cause, finding.confidence) == ("randomness", confidence)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (b"version 1.2.3", b"version 1.2.4"),
        (b"libfoo.so.1", b"libfoo.so.2"),
        (b"the cat sat", b"the dog sat"),
        (b"rev 41", b"rev 42"),
        (b"value=true", b"value=false"),
        (b"HEAD\0\0\1\2\xff", b"HEAD\0\0\3\2\xff"),
        (b"id 00000000-0000-4000-8000-000000000001", b"id 00000000-0000-4000-8000-000000000002"),
    ],
)
def test_small_differences_are_unknown(tmp_path: Path, a: bytes, b: bytes) -> None:
    assert causes(explain(tmp_path, a, b)) == {"unknown"}


def test_code_and_tables_are_no_noise() -> None:
    assert is_noise(NOISE_A)
    assert not is_noise(Path("/bin/true").read_bytes()[0x2000:0x2400])
    assert not is_noise(bytes(range(64)) * 4)
    assert not is_noise(b"a sentence of words that is long enough to be looked at, and yet no noise at all")


def test_names_of_several_words_are_not_jumbled() -> None:
    assert [token for token in (b"fooBarBaz", b"XMLHttpRequest", b"getElementById", b"README") if jumbled(token)] == []
    assert jumbled(b"QjXkZp")
    assert jumbled(b"tNAxSTRd")
