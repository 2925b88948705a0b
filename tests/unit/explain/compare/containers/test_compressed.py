"""Compressed files: all that is in them, whatever the packer wrote around it."""

from __future__ import annotations

import bz2
import gzip
from collections.abc import Callable
from pathlib import Path

import pytest

from boxes import KINDS
from sides import STARTED, explain

T1, T2 = STARTED + 1, STARTED + 1201
Compress = Callable[[bytes], bytes]
PACKERS: dict[str, Compress] = {name: KINDS[name] for name in ("gzip", "bzip2", "xz", "zstd")}


@pytest.fixture(params=PACKERS)
def compress(request: pytest.FixtureRequest) -> Compress:
    return PACKERS[request.param]


def test_a_difference_in_a_later_stream_is_found(tmp_path: Path, compress: Compress) -> None:
    """As packers write that work in parallel. The content is not equal because its first stream is."""
    a, b = (compress(b"same\n" * 9000) + compress(b"") + compress(b"at %d\n" % at) for at in (T1, T2))
    (finding,) = explain(tmp_path, a, b)
    assert (finding.cause, finding.offset) == ("timestamp", 45_000)
    assert finding.because.endswith("(in the decompressed content)")


@pytest.mark.parametrize("name", ["gzip", "bzip2", "xz"])
def test_zeros_at_the_end_are_packing(tmp_path: Path, name: str) -> None:
    whole = PACKERS[name](b"same\n" * 9)
    (finding,) = explain(tmp_path, whole, whole + bytes(100_000))
    assert finding.because.startswith(f"the content is equal; only the {name} packing differs")


def test_what_follows_the_streams_and_is_none_is_not_passed_over(tmp_path: Path, compress: Compress) -> None:
    a, b = (compress(b"same\n") + b"\0at %d\n" % at for at in (T1, T2))
    (finding,) = explain(tmp_path, a, b)
    assert (finding.cause, "packing" in finding.because) == ("timestamp", False)


def test_another_level_is_packing(tmp_path: Path) -> None:
    text = bytes(range(256)) * 99
    (finding,) = explain(tmp_path, bz2.compress(text, 1), bz2.compress(text, 9))
    assert (finding.cause, finding.confidence) == ("archive-metadata", "high")
    assert "only the bzip2 packing differs" in finding.because


@pytest.mark.parametrize(
    ("place", "value", "named"),
    [(8, b"\4", "compression level"), (9, b"\x0b", "operating system")],
)
def test_fields_of_the_gzip_header(tmp_path: Path, place: int, value: bytes, named: str) -> None:
    a = gzip.compress(b"same", mtime=0)
    (finding,) = explain(tmp_path, a, a[:place] + value + a[place + 1 :])
    assert finding.cause == "archive-metadata"
    assert f"the gzip header's {named} differs" in finding.because


@pytest.mark.parametrize(
    ("names", "cause"), [((b"/build/x", b"/build2/x"), "build-path"), ((b"one", b"two"), "archive-metadata")]
)
def test_the_name_in_the_gzip_header(tmp_path: Path, names: tuple[bytes, bytes], cause: str) -> None:
    whole = gzip.compress(b"same", mtime=0)
    # The extra field in between is none of the name's.
    a, b = (whole[:3] + b"\x0c" + whole[4:10] + b"\3\0abc" + name + b"\0" + whole[10:] for name in names)
    (finding,) = explain(tmp_path, a, b)
    assert finding.cause == cause
    if cause == "archive-metadata":
        assert "the gzip header's original name differs: one and two" in finding.because
