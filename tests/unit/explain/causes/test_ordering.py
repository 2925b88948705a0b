"""The same elements in another order: how surely, and whether a race, a locale or chance made it."""

from __future__ import annotations

import random
import struct
from pathlib import Path

import pytest

from nix_repro.explain.context import Context, Side
from sides import UNKNOWN, causes, explain

WORDS = b"alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu".split()
SHUFFLED = random.Random(3).sample(WORDS, len(WORDS))  # noqa: S311
STEPS = [b"step %d" % n for n in range(6)]


@pytest.mark.parametrize(
    ("cores", "cause", "because"),
    [
        ((1, 4), "parallelism", "in order where the build had one core and out of order where it had 4"),
        # The build that had one core is not the one in order: that it had one explains nothing.
        ((4, 1), "ordering", "both sides have the same 6 lines in another order"),
        ((None, None), "ordering", "both sides have the same 6 lines in another order"),
    ],
)
def test_out_of_order_where_there_was_more_than_one_core(
    tmp_path: Path, cores: tuple[int | None, int | None], cause: str, because: str
) -> None:
    context = Context(a=Side(cores=cores[0]), b=Side(cores=cores[1]))
    mixed = [STEPS[n] for n in (5, 3, 0, 4, 2, 1)]
    (finding,) = explain(tmp_path, b"\n".join(STEPS), b"\n".join(mixed), context)
    assert (finding.cause, because in finding.because) == (cause, True)


def test_very_many_lines_are_not_looked_at_one_by_one(tmp_path: Path) -> None:
    lines = [b"entry %d of many" % n for n in range(3000)]
    mixed = random.Random(4).sample(lines, len(lines))  # noqa: S311
    (finding,) = explain(tmp_path, b"\n".join(lines), b"\n".join(mixed))
    assert (finding.cause, finding.confidence) == ("ordering", "high")


def test_of_two_lines_that_changed_places_nothing_is_sure(tmp_path: Path) -> None:
    (finding,) = explain(tmp_path, b"apple\npear\nend", b"pear\napple\nend", UNKNOWN)
    assert (finding.cause, finding.confidence) == ("ordering", "low")


def strings(words: list[bytes]) -> bytes:
    return b"\xfe\xff\0" + b"\0".join(words) + b"\0\xfe\1\0"


def with_offsets(words: list[bytes]) -> bytes:
    """Words behind a table of where each begins."""
    starts = [sum(map(len, words[:n])) + 3 * n for n in range(len(words))]
    return b"\xff\0" + struct.pack(f"<{len(words)}H", *starts) + b"".join(b"\xff\0\1" + word for word in words)


@pytest.mark.parametrize(
    ("form", "because"),
    [
        (strings, "both sides have the same 14 strings in another order"),
        (with_offsets, "both sides have the same 10 words in another order"),
    ],
)
def test_strings_in_a_binary(tmp_path: Path, form: object, because: str) -> None:
    assert callable(form)
    (finding,) = explain(tmp_path, {"x": form(WORDS)}, {"x": form(SHUFFLED)})
    assert (finding.cause, finding.confidence, finding.because) == ("ordering", "high", because)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (b"\n".join(WORDS), b"\n".join(SHUFFLED)),
        (b"names = ['" + b"', '".join(WORDS) + b"']", b"names = ['" + b"', '".join(SHUFFLED) + b"']"),
        (b"\x7fBIN" + b"\0".join(WORDS) + b"\0", b"\x7fBIN" + b"\0".join(SHUFFLED) + b"\0"),
        (
            b"\xffB\0" + b"".join(bytes([len(w), 0]) + w for w in WORDS),
            b"\xffB\0" + b"".join(bytes([len(w), 0]) + w for w in SHUFFLED),
        ),
        (b"\0\xff".join(w.ljust(16, b"\1") for w in WORDS), b"\0\xff".join(w.ljust(16, b"\1") for w in SHUFFLED)),
    ],
)
def test_ordering(tmp_path: Path, a: bytes, b: bytes) -> None:
    (finding,) = explain(tmp_path, a, b)
    assert (finding.cause, finding.confidence) == ("ordering", "high")


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (b"\n".join(WORDS), b"\n".join([*SHUFFLED[:-1], b"other"])),  # one element is another
        (b"size 10 20", b"size 20 10"),  # two small numbers that changed places
        (b"word", b"drow"),  # an anagram
        (b"\0\1\2\3abc\xff", b"\0\1\2\3cba\xff"),
    ],
)
def test_ordering_near_misses(tmp_path: Path, a: bytes, b: bytes) -> None:
    findings = explain(tmp_path, a, b)
    assert findings
    assert not any(item.cause == "ordering" and len(causes(findings)) == 1 for item in findings)


def test_a_race_is_told_from_a_shuffle_but_never_surely(tmp_path: Path) -> None:
    lines = [b"[%d/20] CC obj/file%d.o" % (n, n) for n in range(20)]
    swapped = [*lines[:7], lines[8], lines[7], *lines[9:]]
    (finding,) = explain(tmp_path, b"\n".join(lines), b"\n".join(swapped))
    assert (finding.cause, finding.confidence) == ("parallelism", "low")


def test_two_ways_to_sort_are_two_locales(tmp_path: Path) -> None:
    words = b"Apple Cherry Elder Grape banana date fig".split()
    by_language = sorted(words, key=bytes.lower)
    (finding,) = explain(tmp_path, b"\n".join(words), b"\n".join(by_language))
    assert (finding.cause, finding.confidence) == ("locale", "high")
    shuffled = random.Random(5).sample(words, len(words))  # noqa: S311
    (finding,) = explain(tmp_path, b"\n".join(words), b"\n".join(shuffled))
    assert finding.cause == "ordering"
