"""What the text around a value says it is, what a locale changes, and what machine code shows; and what only looks
so."""

from __future__ import annotations

from pathlib import Path

import pytest

from sides import UNKNOWN, explain


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
        (b"# 1,000", b"1.000 #"),
        (b"no. #", b"no. 1"),
    ],
)
def test_near_misses(tmp_path: Path, a: bytes, b: bytes) -> None:
    assert {finding.cause for finding in explain(tmp_path, a, b, UNKNOWN)} == {"unknown"}
