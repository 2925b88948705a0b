"""Bytes wherever they are: parts that claim more than there is, holes, and what is no file."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nix_repro.explain.budget import Budget
from nix_repro.explain.compare.blob import MemoryBlob, SliceBlob, StreamBlob, as_file, open_file
from nix_repro.explain.compare.spans import differing_spans, first_difference


@given(st.binary(max_size=60), st.integers(-9, 90), st.integers(-9, 90), st.integers(0, 90), st.integers(0, 90))
def test_a_part_never_reaches_beyond_itself(data: bytes, start: int, size: int, offset: int, length: int) -> None:
    part = SliceBlob(MemoryBlob(data), start, size)
    whole = data[max(0, start) :][: max(0, size)]
    assert part.read(offset, length) == whole[offset : offset + length]
    assert part.size == len(whole)


@given(st.binary(max_size=60), st.lists(st.integers(0, 90), max_size=5))
def test_a_blob_reads_as_a_file(data: bytes, places: list[int]) -> None:
    file = as_file(MemoryBlob(data))
    for place in places:
        file.seek(place)
        assert file.read(7) == data[place : place + 7]
    file.seek(-min(3, len(data)), os.SEEK_END)
    assert file.read() == data[len(data) - min(3, len(data)) :]


def test_what_was_unpacked_is_read_anywhere() -> None:
    blob = StreamBlob()
    for piece in (b"one ", b"two ", b"three"):
        blob.append(piece)
    assert (blob.size, blob.read(4, 3), blob.read(0, 99)) == (13, b"two", b"one two three")


def test_a_pipe_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="not a regular file"), open_file(os.fsencode(tmp_path / "pipe")):
        pass


def test_files_that_end_in_a_hole_differ_in_their_length_only(tmp_path: Path) -> None:
    """A tebibyte of nothing is not read to find that out."""
    for name, size in (("a", 1 << 40), ("b", (1 << 40) + 1)):
        with (tmp_path / name).open("wb") as file:
            file.write(b"same")
            file.truncate(size)
    with open_file(os.fsencode(tmp_path / "a")) as a, open_file(os.fsencode(tmp_path / "b")) as b:
        assert first_difference(a, b, Budget(seconds=20)) == 1 << 40


def test_spans_are_as_many_as_were_asked_for() -> None:
    a, b = bytes(1000), b"\1" + bytes(99)
    assert [span.start for span in differing_spans(a, b * 10, 3)] == [0, 100, 200]
