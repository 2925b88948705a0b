"""What the text around a value says it is, what a locale changes, and what machine code shows; and what only looks
so."""

from __future__ import annotations

import gzip
import hashlib
import random
from pathlib import Path

import pytest

from nix_repro.explain.causes.code import instruction_set
from nix_repro.explain.causes.randomness import jumbled
from nix_repro.explain.context import Context, Input
from sides import STARTED, UNKNOWN, A, B, explain


@pytest.mark.parametrize(
    ("a", "b", "cause"),
    [
        (b'CFG = {"BUILD_HOST": "node1.lan"}', b'CFG = {"BUILD_HOST": "node2.lan"}', "host"),
        (b'<suite hostname="ant" n="3">', b'<suite hostname="wasp-7" n="3">', "host"),
        (b"linux (root@ant) gcc", b"linux (root@wasp) gcc", "host"),
        (b"dir=/home/ann/x", b"dir=/home/runner/x", "environment"),
        (b"packager = nixbld1", b"packager = nixbld12", "environment"),
        (b"built by: ann", b"built by: bob", "environment"),
        (b"PATH=/usr/bin:/bin\nx", b"PATH=/usr/local/bin:/usr/bin:/bin\nx", "environment"),
        (b"LANG=C\nx", b"LANG=en_GB.UTF-8\nx", "locale"),
        (
            b'{"cpu": "AMD EPYC 7763 64-Core Processor"}',
            b'{"cpu": "Intel(R) Xeon(R) Platinum 8370C CPU @ 2.80GHz"}',
            "cpu",
        ),
        (b"with avx sse4_2 and", b"with avx avx2 fma sse4_2 and", "cpu"),
        (b"#define CORE_HASWELL 1", b"#define CORE_SKYLAKEX 1", "cpu"),
        (b"NUM_THREADS = 8", b"NUM_THREADS = 16", "parallelism"),
        (b"a 3.1400; b 0.25", b"a 3,1400; b 0,25", "locale"),
        (b"unused 'k'", "unused ‘k’".encode(), "locale"),
        ("by José".encode(), b"by Jos?", "locale"),
        (b"on Mon 04 May 2020", b"on lun. 04 mai 2020", "locale"),
        (
            b"usage: x [-a] [-b] [-c]\n  [-d] [-e] [-f] [-g]\n",
            b"usage: x [-a] [-b] [-c] [-d] [-e]\n  [-f] [-g]\n",
            "environment",
        ),
        (b"root:$6$Xk2/abcd$" + b"Zq1." * 20, b"root:$6$9fL.efgh$" + b"u7Pw" * 20, "randomness"),
        (b"source: tmp3k_x9qa1", b"source: tmpz0ab_q7w", "randomness"),
        (b"5581aa30d000-5581aa32e000 rw-p [heap]", b"5602f17cc000-5602f17ed000 rw-p [heap]", "address-layout"),
        (b"#0  00007f31c2a4d0f0 in f", b"#0  00007fa8009c60f0 in f", "address-layout"),
    ],
)
def test_named(tmp_path: Path, a: bytes, b: bytes, cause: str) -> None:
    (finding,) = explain(tmp_path, a, b, UNKNOWN)
    assert finding.cause == cause


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (b"listen host 127.0.0.1 up", b"listen host 127.0.0.1 down"),
        (b"Author: ann@example.org", b"Author: bob@example.net"),
        (b"ghosts = a", b"ghosts = b"),
        (b"the user reads", b"the user writes"),
        (b"path /share/home/a", b"path /share/home/b"),
        (b"MYPATH=a", b"MYPATH=b"),
        (b"with zlib and avx", b"with lzma and avx2"),
        (b"version 1.2", b"version 1,3"),
        (b"say 'x'", b'say "x"'),
        (b"is it? 1", b"is it! 1"),
        (b"in May 2020 we ran", b"in May 2020 we sat"),
        (b"one two three four five six seven eight\r\n", b"one two three four five six seven eight\n"),
        (b"jobs: many", b"jobs: few"),
        (b"threads.c:8", b"threads.c:9"),
        (b"use tmpdir", b"use tmpfs"),
    ],
)
def test_near_misses(tmp_path: Path, a: bytes, b: bytes) -> None:
    assert {finding.cause for finding in explain(tmp_path, a, b, UNKNOWN)} == {"unknown"}


def test_two_ways_to_sort_are_two_locales(tmp_path: Path) -> None:
    words = b"Apple Cherry Elder Grape banana date fig".split()
    by_language = sorted(words, key=bytes.lower)
    (finding,) = explain(tmp_path, b"\n".join(words), b"\n".join(by_language))
    assert (finding.cause, finding.confidence) == ("locale", "high")
    shuffled = random.Random(5).sample(words, len(words))  # noqa: S311
    (finding,) = explain(tmp_path, b"\n".join(words), b"\n".join(shuffled))
    assert finding.cause == "ordering"


def test_instruction_sets() -> None:
    scalar = bytes.fromhex("f30f5904873bc1f30f58c0488d4001") * 12
    avx = bytes.fromhex("c5fc100407c5fc5901c5fc58c04883c020") * 12
    avx512 = bytes.fromhex("62f17c481004074883c0404839c875f0") * 12
    assert instruction_set(scalar, avx) == "AVX"
    assert instruction_set(avx512, avx) == "AVX-512"
    assert instruction_set(scalar, scalar[15:]) is None
    assert instruction_set(avx, avx + avx) is None
    noise = [random.Random(seed).randbytes(4000) for seed in (1, 2)]  # noqa: S311
    assert instruction_set(*noise) is None


def test_names_of_several_words_are_not_jumbled() -> None:
    assert [token for token in (b"fooBarBaz", b"XMLHttpRequest", b"getElementById", b"README") if jumbled(token)] == []
    assert jumbled(b"QjXkZp")
    assert jumbled(b"tNAxSTRd")


def test_what_was_copied_from_an_input_is_not_made_here(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    text = b"made %d.25\n"
    for side, at in (("a", STARTED + 1), ("b", STARTED + 1201)):
        (tmp_path / "in" / side).write_bytes(text % at)
    given = Input(
        store_path="/nix/store/00000000000000000000000000000000-dep", a=tmp_path / "in/a", b=tmp_path / "in/b"
    )
    context = Context(a=A, b=B, inputs=(given,))
    first, second = text % (STARTED + 1), text % (STARTED + 1201)
    (packed,) = explain(tmp_path, gzip.compress(first, mtime=0), gzip.compress(second, mtime=0), context)
    assert (packed.cause, packed.confidence) == ("propagated", "high")
    sums = [hashlib.sha256(side).hexdigest().encode() + b"  dep\n" for side in (first, second)]
    (digest,) = explain(tmp_path, sums[0], sums[1], context)
    assert (digest.cause, digest.confidence, digest.derived_from) == ("propagated", "high", None)
    (own,) = explain(tmp_path, b"made %d\n" % (STARTED + 2), b"made %d\n" % (STARTED + 1202), context)
    assert own.cause == "timestamp"
    (other,) = explain(tmp_path, b"0f" * 32, b"7a" * 32, context)
    assert other.cause != "propagated"
