from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nix_repro.nix.hashes import nix32, sri

RECORDED = Path(__file__).parent / "recorded"


@pytest.mark.parametrize("series", ["2.8", "2.26", "2.34"])
def test_what_nix_itself_says(series: str) -> None:
    rows = json.loads((RECORDED / series / "hashes.json").read_text())
    assert len(rows) == 3
    for in_nix32, in_sri in rows:
        assert sri(in_nix32) == in_sri
        assert nix32(in_sri) == in_nix32


@given(st.binary(min_size=32, max_size=32))
def test_there_and_back(digest: bytes) -> None:
    text = f"sha256-{base64.b64encode(digest).decode()}"
    assert len(nix32(text)) == len("sha256:") + 52
    assert sri(nix32(text)) == text


def test_what_is_no_digest_is_an_error() -> None:
    with pytest.raises(ValueError, match="substring not found"):
        sri("sha256:eeee")
    with pytest.raises(OverflowError):
        sri("sha256:" + "z" * 53)
