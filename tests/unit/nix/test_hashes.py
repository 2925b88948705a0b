from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nix_repro.nix.hashes import nix32, spellings, sri

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


@pytest.mark.parametrize(
    ("algorithm", "own"),
    [
        ("sha1", "f8h5qy03cm8knz7xmamq8a9aqn7avxhi"),
        ("sha256", "10a83a91g1r50bdw8g4hn47m7j7m6angpabwc80l9c16nx11cw9d"),
        (
            "sha512",
            "1igw6jma2fig1c5x21kji2p42s4z47c4y4li0mhvlwcngg44qvc32r3i7d44gmlz2br4ifmni97z4parhgkml8mh612smj9ii2d9ax4",
        ),
    ],
)
def test_every_way_in_which_a_hash_is_written(algorithm: str, own: str) -> None:
    """Of a file that holds `x`, as nix-hash says."""
    digest = hashlib.new(algorithm, b"x").digest()
    encoded = base64.b64encode(digest).decode()
    assert spellings(f"{algorithm}-{encoded}") == (f"{algorithm}-{encoded}", encoded, own, digest.hex())
