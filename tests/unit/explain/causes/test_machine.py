"""What is the machine's: its directories, kernel, name, cores and processor; and what only looks so."""

from __future__ import annotations

from pathlib import Path

import pytest

from nix_repro.explain.context import Context, Side
from sides import BUILDS, causes, explain


@pytest.mark.parametrize(
    ("a", "b", "cause", "confidence"),
    [
        (b"src=/build/x.c", b"src=/build2/x.c", "build-path", "high"),
        (b"cwd /tmp/nix-build-foo.drv-0/x", b"cwd /tmp/nix-build-foo.drv-11/x", "build-path", "high"),
        (b"kernel 6.1.0-18-amd64", b"kernel 2.6.61-18-amd64", "host", "high"),
        (b"built on alpha by me", b"built on beta by me", "host", "high"),
        (b"make -j3 all", b"make -j7 all", "parallelism", "high"),
        (b"x = 3", b"x = 7", "parallelism", "low"),
        (b"at 2001-02-03 04:05:06 UTC", b"at 2001-02-03 13:05:06 JST", "locale", "high"),
        (b"<object at 0x7f31c2a4d0f0>", b"<object at 0x7fa8009c60f0>", "address-layout", "high"),
        (b"pid: 4711", b"pid: 4822", "address-layout", "low"),
        (b"id 140245118382832", b"id 139871623009136", "address-layout", "low"),
        (b"Ran 3 tests in 0.012s", b"Ran 3 tests in 0.015s", "timestamp", "low"),
        (b"cpu MHz : 2594.1", b"cpu MHz : 3100.9", "cpu", "low"),
    ],
)
def test_machine(tmp_path: Path, a: bytes, b: bytes, cause: str, confidence: str) -> None:
    (finding,) = explain(tmp_path, a, b)
    assert (finding.cause, finding.confidence) == (cause, confidence)


@pytest.mark.parametrize(
    ("a", "b", "cause"),
    [
        (b"releases/build41", b"releases/build42", "build-path"),
        (b"src=/builder/x.c", b"src=/builder2/x.c", "build-path"),
        (b"kernel 6.1.0-19-amd64", b"kernel 6.1.0-20-amd64", "host"),
        (b"alphabet", b"betatron", "host"),
        (b"make -j4 all", b"make -j8 all", "parallelism"),
        (b"make -j7 all", b"make -j3 all", "parallelism"),
        (b"at 2001-02-03 04:05:06", b"at 2001-02-03 04:07:06", "locale"),
        (b"mask 0x7f31", b"mask 0x7fa8", "address-layout"),
        (b"offset 0x00000010", b"offset 0x00000020", "address-layout"),
        (b"speed 0.012", b"speed 0.015", "timestamp"),
    ],
)
def test_machine_near_misses(tmp_path: Path, a: bytes, b: bytes, cause: str) -> None:
    assert cause not in causes(explain(tmp_path, a, b))


def test_environment_values(tmp_path: Path) -> None:
    context = Context(a=Side(environment={"FLAVOUR": "vanilla"}), b=Side(environment={"FLAVOUR": "chocolate"}))
    (finding,) = explain(tmp_path, b"taste: vanilla", b"taste: chocolate", context)
    assert (finding.cause, finding.confidence) == ("environment", "high")
    assert "environment" not in causes(explain(tmp_path, b"taste: chocolate", b"taste: vanilla", context))


def test_processor_model(tmp_path: Path) -> None:
    context = Context(a=Side(cpu="EPYC 7763"), b=Side(cpu="Xeon 8370C"))
    assert causes(explain(tmp_path, b"tuned for EPYC 7763", b"tuned for Xeon 8370C", context)) == {"cpu"}


#: Nobody saw the first build.
UNSEEN = Context(b=BUILDS.b)


@pytest.mark.parametrize(
    ("a", "b", "cause"),
    [
        (b"MAKEFLAGS = -j16", b"MAKEFLAGS = -j7", "parallelism"),
        (b"jobs: 16", b"jobs: 7", "parallelism"),
        (b'#define KERNEL "5.15.0"', b'#define KERNEL "2.6.61-18-amd64"', "host"),
        (b"built: gamma.example", b"built: beta", "host"),
        (b"src = /tmp/work/x.c", b"src = /build2/x.c", "build-path"),
    ],
)
def test_what_only_the_rebuild_is_known_to_have_is_no_more_than_likely(
    tmp_path: Path, a: bytes, b: bytes, cause: str
) -> None:
    first = explain(tmp_path, a, b, UNSEEN)[0]
    assert (first.cause, first.confidence) == (cause, "low")


@pytest.mark.parametrize(
    ("a", "b"),
    [
        # Not what the rebuild had.
        (b"MAKEFLAGS = -j16", b"MAKEFLAGS = -j5"),
        (b'#define KERNEL "5.15.0"', b'#define KERNEL "6.1.0"'),
        # More differs than this word.
        (b"alpha of gamma and some", b"omega of beta with more"),
        (b"", b"beta"),
    ],
)
def test_near_misses_of_what_only_the_rebuild_is_known_to_have(tmp_path: Path, a: bytes, b: bytes) -> None:
    assert causes(explain(tmp_path, a, b, UNSEEN)) & {"host", "parallelism", "build-path", "cpu"} == set()


def test_a_zone_that_is_not_known_is_no_other_zone(tmp_path: Path) -> None:
    a, b = b"at 2019-01-02 03:04:05\n", b"at 2019-01-02 12:04:05\n"
    assert [item.confidence for item in explain(tmp_path, a, b, UNSEEN)] == ["low"]
    assert [item.confidence for item in explain(tmp_path, a, b)] == ["high"]


def test_a_build_directory_that_is_not_known_is_no_other_one(tmp_path: Path) -> None:
    """The order of a race is not told from cores that are not known either."""
    lines = [b"alpha", b"bravo", b"delta", b"gamma", b"omega"]
    a, b = b"\n".join(lines), b"\n".join([*lines[3:], *lines[:3]])
    one_core = Context(a=BUILDS.a, b=Side())
    assert all("one core" not in item.because for item in explain(tmp_path, a, b, one_core))
