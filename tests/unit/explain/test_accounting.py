"""Every byte that differs is accounted for: a finding explains it, a finding calls it unknown, or it is said that not
all was looked at. What is proved rests on that."""

from __future__ import annotations

import hashlib
import os
import random
import struct
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nix_repro.explain.budget import Budget
from nix_repro.explain.causes.file_content import account
from nix_repro.explain.causes.gather import gather
from nix_repro.explain.causes.model import Pair, left_over
from nix_repro.explain.causes.rules import RULES
from nix_repro.explain.compare import content
from nix_repro.explain.compare.blob import MemoryBlob
from nix_repro.explain.compare.content import region
from nix_repro.explain.compare.difference import Difference
from nix_repro.explain.compare.spans import first_difference
from nix_repro.explain.compare.trees import compare_trees
from nix_repro.explain.context import Context
from nix_repro.explain.experiments.inquiry import accounted
from nix_repro.report import Finding
from sides import BUILDS, STARTED, Tree, explain, make

T1, T2 = STARTED + 1, STARTED + 1201
#: Pieces of what builds write: times, tokens, names, cores, what a rule fills in, line ends, and noise.
PIECES = st.sampled_from(
    [
        (b"at %d " % T1, b"at %d " % T2),
        (struct.pack("<I", T1), struct.pack("<I", T2)),
        (b"make -j3 ", b"make -j7 "),
        (b"8f14e45fceea167a", b"c9f0f895fb98ab91"),
        (b"four\nfive\nnine\nzero\n", b"five\nfour\nzero\nnine\n"),
        (b"\x1a", b"\x1a\x1a"),
        (b"\n", b"\n\n"),
        (b"/build/x.c\0", b"/build2/x.c\0"),
        (b"cat", b"dog"),
        (b"\0\1\2", b"\0\1\2"),
        (b"same\n", b"same\n"),
    ]
)
chance = st.binary(max_size=40)
pieces = st.lists(PIECES | st.tuples(chance, chance), max_size=12)
data = st.binary(max_size=300) | st.text(max_size=200).map(str.encode)
trees = st.dictionaries(st.sampled_from(["a", "b.gz", "c.txt", "d/e", "d/f-123", "d/f-456", "bin/x"]), data, max_size=6)


def of_no_input(_pair: Pair, _context: Context) -> None:
    """The rule about inputs, of which there are none."""


def sides(parts: list[tuple[bytes, bytes]]) -> tuple[bytes, bytes]:
    return b"".join(a for a, _ in parts), b"".join(b for _, b in parts)


def unaccounted(a: bytes, b: bytes) -> list[int]:
    """The offsets at which contents of one size differ and of which nothing is said."""
    blobs, budget = (MemoryBlob(a), MemoryBlob(b)), Budget()
    first = first_difference(*blobs, budget)
    if first is None:
        return []
    difference = Difference("x", "content", blobs=blobs, first=first)
    part = region(*blobs, first, budget)
    told = account(difference, part, BUILDS, (of_no_input, *RULES), budget)
    if told.more or budget.cut:
        return []
    covered = set[int]()
    for match, pair in told.found:
        for (start, end), _ in match.places:
            covered.update(range(pair.offset + start, pair.offset + end))
    for pair in told.left:
        covered.update(range(pair.offset, pair.offset + len(pair.a)))
    return [at for at, (x, y) in enumerate(zip(a, b, strict=True)) if x != y and at not in covered]


@settings(max_examples=300, deadline=None)
@given(pieces)
def test_every_differing_byte_is_explained_or_called_unknown(parts: list[tuple[bytes, bytes]]) -> None:
    """Of pieces as long as each other: what is equal stands where it stood."""
    a, b = sides([(a[: len(b)], b[: len(a)]) for a, b in parts])
    assert unaccounted(a, b) == []


@settings(max_examples=150, deadline=None)
@given(trees, trees)
def test_every_difference_of_trees_has_evidence(a: dict[str, bytes], b: dict[str, bytes]) -> None:
    with tempfile.TemporaryDirectory() as name:
        left, right = make(Path(name) / "a", a), make(Path(name) / "b", b)
        budget = Budget()
        for difference in compare_trees(os.fsencode(left), os.fsencode(right), budget):
            if difference.kind != "container":
                assert list(gather(difference, BUILDS, (of_no_input, *RULES), budget))


def told(a: Tree, b: Tree) -> tuple[Finding, ...]:
    with tempfile.TemporaryDirectory() as name:
        return explain(Path(name), a, b)


@settings(max_examples=300, deadline=None)
@given(pieces, chance, chance, pieces, st.booleans())
def test_what_differs_beside_a_time_is_never_accounted_for_by_it(
    before: list[tuple[bytes, bytes]], one: bytes, another: bytes, after: list[tuple[bytes, bytes]], text: bool
) -> None:
    """However it is placed, and whether or not it changes the length: the time alone is not proved then."""
    times = (b" at %d\n" % T1, b" at %d\n" % T2) if text else tuple(struct.pack("<I", at) for at in (T1, T2))
    begin, end = sides(before)[0], sides(after)[0]
    left, right = (at + begin + b"|" + other + b"|" + end for at, other in zip(times, (one, another), strict=True))
    assert not accounted(told(left, right), "out", "timestamp") or one == another


@pytest.mark.parametrize(
    ("a", "b"),
    [
        # A random identity in a binary, as 16 bytes and as digits.
        (bytes(range(256)) + b"GUID" + bytes(range(100, 116)), bytes(range(256)) + b"GUID" + bytes(range(200, 216))),
        (b"id 8f14e45fceea167a8f14e45fceea1671", b"id c9f0f895fb98ab91c9f0f895fb98ab92"),
        # One byte of a counter, a coin, blank lines, a line end, another end.
        (b"\0\0\0\7\0\0", b"\0\0\0\4\0\0"),
        (b"heads\n", b"tails\n"),
        (b"x\n\n\ny\n", b"x\ny\n"),
        (b"x\ny\n", b"x\ny"),
        # A line that changed its place and was changed.
        (b"n = cat\nc\nd\n", b"c\nn = dog\nd\n"),
        # Two lines that changed places where too many others differ for that to be told.
        (
            b"k1\nk2\n" + b"".join(b"a%d\n" % n for n in range(9)),
            b"k2\nk1\n" + b"".join(b"b%d\n" % n for n in range(9)),
        ),
        # What a rule fills in.
        (b"\x1a", b"\x1a\x1a"),
        # Bytes between the strings of binary data of another length.
        (b"\0\1\2word\0", b"\0\3\4word\0\0"),
    ],
)
@pytest.mark.parametrize("time", [(b"at %d\n" % T1, b"at %d\n" % T2), (struct.pack(">Q", T1), struct.pack(">Q", T2))])
def test_a_second_cause_is_told_beside_a_sure_one(a: bytes, b: bytes, time: tuple[bytes, bytes]) -> None:
    for left, right in ((time[0] + a, time[1] + b), (a + time[0], b + time[1])):
        assert not accounted(told(left, right), "out", "timestamp"), (left, right)
    assert accounted(told(time[0] + a, time[1] + a), "out", "timestamp") or time[0][:1] == b"\0"


def test_a_digest_of_another_file_does_not_take_a_random_token_with_it(tmp_path: Path) -> None:
    """In one line, in two lines, and beside a token that is surely random."""

    def side(at: int, token: bytes) -> dict[str, bytes]:
        digest = hashlib.sha256(b"built %d\n" % at).hexdigest().encode()
        return {"data": b"built %d\n" % at, "a": digest + b" " + token, "b": digest + b"\n" + token}

    found = explain(tmp_path, side(T1, b"8f14e45fceea167a"), side(T2, b"c9f0f895fb98ab91"))
    for path in "ab":
        assert [(f.cause, f.confidence, f.derived_from) for f in found if f.path == path] == [
            ("randomness", "low", None),
            ("timestamp", "high", "data"),
        ]


def test_limits_of_what_is_looked_at_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    noise = [random.Random(seed).randbytes(40 << 10) for seed in (1, 2)]  # noqa: S311 (the same every time)
    line = [b"x" + b"".join(b"%d," % n for n in range(start, start + 9000)) + b"\n" for start in (10000, 30000)]
    for a, b in (
        (b"\0" * 64 + noise[0], b"\0" * 64 + noise[1]),
        (b"a\n" + line[0] + b"b\n", b"a\n" + line[1] + b"b\n"),
    ):
        assert "the first 16 KiB are looked at" in explain(tmp_path, a, b)[-1].because
    monkeypatch.setattr(content, "REGION", 100)
    a, b = (b"".join(b"line %d of %d\n" % (n, at) for n in range(50)) for at in (T1, T2))
    assert "not everything was compared" in explain(tmp_path, a, b + b"more")[-1].because
    monkeypatch.setattr(content, "SPANS", 3)
    a, b = (b"".join(bytes(20) + mark for _ in range(5)) for mark in (b"\1", b"\2"))
    assert "the first 3 places are looked at" in explain(tmp_path, a, b)[-1].because


def test_what_no_place_covers() -> None:
    assert left_over(b"abcdef", [(1, 2), (2, 3), (4, 4)]) == [b"a", b"d", b"ef"]
    assert left_over(b"ab", []) == [b"ab"]
    assert left_over(b"ab", [(0, 2)]) == [b"", b""]
    assert left_over(b"", []) == [b""]


def test_much_evidence_of_noise_takes_little_room() -> None:
    """No digest is that long, so it is not kept to be looked up."""
    noise = [random.Random(seed).randbytes(9000) for seed in (1, 2)]  # noqa: S311 (the same every time)
    a, b = (b"".join(bytes(64) + side for _ in range(9)) for side in noise)
    blobs, budget = (MemoryBlob(a), MemoryBlob(b)), Budget()
    difference = Difference("x", "content", blobs=blobs, first=64)
    found = list(gather(difference, BUILDS, (of_no_input, *RULES), budget))
    assert {item.cause for item in found} == {"randomness"}
    assert max(len(item.a) + len(item.b) + len(item.tokens) for item in found) <= 2048
