"""What a locale changes in text, and bytes that are none."""

from __future__ import annotations

from pathlib import Path

import pytest

from sides import explain


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (b"word: x\xe4y caf\xe9\n", b"word: x\xf6y caf\xe9\n"),
        (b"na\xefve \xe9t\xe9\n", b"na\xefve \xe8t\xe8\n"),
        (b"Gr\xfc\xdfe 1.234\n", b"Gr\xf6\xdfe 1.234\n"),
        (b"\xc4pfel\n\xd6l\n\xe4\xf6\xfc\n", b"\xc4pfel\n\xd6l\n\xe4\xf6\xe0\n"),
        (b"pr\xf3xima\n" * 3 + b"a\xf1o 1\n", b"pr\xf3xima\n" * 3 + b"a\xf0o 1\n"),
    ],
)
def test_bytes_that_are_no_utf8_are_no_quotation_marks(tmp_path: Path, a: bytes, b: bytes) -> None:
    padding = b"line of plain text\n" * 20
    found = explain(tmp_path, padding + a, padding + b)
    assert {item.cause for item in found} == {"randomness"}
    assert {item.confidence for item in found} == {"low"}
    assert not any("quotation" in item.because for item in found)


@pytest.mark.parametrize(
    ("a", "b", "because"),
    [
        ("say “hello” now\n".encode(), b'say "hello" now\n', "other quotation marks"),
        ("it’s\n".encode(), b"it's\n", "other quotation marks"),
        ("café\n".encode(), b"caf?\n", "what is not ASCII was lost"),
        (b"caf\xe9 here\n" + b"plain text\n" * 9, b"caf? here\n" + b"plain text\n" * 9, "what is not ASCII was lost"),
    ],
)
def test_what_a_locale_changes(tmp_path: Path, a: bytes, b: bytes, because: str) -> None:
    (finding,) = explain(tmp_path, a, b)
    assert (finding.cause, finding.confidence) == ("locale", "low")
    assert because in finding.because
