"""The same elements in another order: how surely, and whether a race, a locale or chance made it."""

from __future__ import annotations

import random
import struct
import tracemalloc
from pathlib import Path

import pytest

from nix_repro.explain.context import Context, Side
from sides import STARTED, UNKNOWN, causes, explain, sure

WORDS = b"alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu".split()
SHUFFLED = random.Random(3).sample(WORDS, len(WORDS))  # noqa: S311
NOISE = random.Random(1).randbytes(1 << 19)  # noqa: S311
TWICE = (*range(40_000), *range(40_000))
STEPS = [b"step %d" % n for n in range(6)]


@pytest.mark.parametrize(
    ("cores", "cause", "because"),
    [
        ((1, 4), "parallelism", "in order where the build had one core and out of order where it had 4"),
        # The build that had one core is not the one in order: that it had one explains nothing.
        ((4, 1), "ordering", "both sides have the same 6 lines in another order"),
        # A set or a directory is not in order by chance; jobs that write a line each mostly are.
        ((None, None), "parallelism", "as jobs do that run side by side"),
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
        (strings, "both sides have the same 10 strings in another order"),
        # The table differs too, and is not claimed.
        (with_offsets, "both sides have the same 10 strings in another order"),
    ],
)
def test_strings_in_a_binary(tmp_path: Path, form: object, because: str) -> None:
    assert callable(form)
    finding = explain(tmp_path, {"x": form(WORDS)}, {"x": form(SHUFFLED)})[0]
    assert (finding.cause, finding.confidence) == ("ordering", "high")
    assert finding.because.startswith(because)


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
    one, other = (random.Random(seed).sample(words, len(words)) for seed in (5, 6))  # noqa: S311
    (finding,) = explain(tmp_path, b"\n".join(one), b"\n".join(other))
    assert (finding.cause, finding.confidence) == ("ordering", "low")


def rows(*rows: tuple[int, int, bytes]) -> bytes:
    """A table with a number and a time before each name."""
    return b"IDXCACHE" + b"".join(struct.pack("<QQ", *numbers) + name.ljust(20, b"\0") for *numbers, name in rows)


def test_names_beside_numbers_are_not_all_of_it(tmp_path: Path) -> None:
    """The names are in another order; the numbers, and the times, are others."""
    drawn = random.Random(7)  # noqa: S311
    names = [b"libalpha.so.1", b"libbeta.so.2", b"libgamma.so.3", b"libdelta.so.4", b"libzeta.so.5"]
    a, b = (rows(*sorted((drawn.getrandbits(30), at, name) for name in names)) for at in (STARTED + 1, STARTED + 1201))
    findings = explain(tmp_path, {"x": a}, {"x": b})
    assert {"ordering", "timestamp"} <= causes(findings)
    assert sure(findings) <= {"ordering", "timestamp"}


@pytest.mark.parametrize("seed", range(8))
def test_a_number_that_holds_the_byte_of_what_is_explained_hides_no_order(tmp_path: Path, seed: int) -> None:
    drawn = random.Random(seed)  # noqa: S311
    names = [f"lib{letter}{letter}{letter}.so".encode() for letter in "abcdefghijkl"]
    a, b = (
        rows(*sorted((drawn.getrandbits(22) << 8 | 0x1A, at, name) for name in names))
        for at in (STARTED + 1, STARTED + 1201)
    )
    findings = explain(tmp_path, {"x": a}, {"x": b})
    assert {"ordering", "timestamp"} <= causes(findings)
    assert sure(findings) <= {"ordering", "timestamp"}


CASE = b"case $1 in\n%sesac\n"
ARM = b"%s)\n\techo %s\n\t;;\n"


def arms(names: str) -> bytes:
    return CASE % b"".join(ARM % (name.encode(), name.encode()) for name in names)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (arms("abcd"), arms("abxcd")),  # a block was put in whose last line is everywhere
        (arms("abxcd"), arms("abcd")),
        (b"{\n one;\n}\n{\n two;\n}\n", b"{\n one;\n}\n{\n}\n{\n two;\n}\n"),
        (b"begin\nx\nend\n" * 4, b"begin\nx\nend\n" * 2 + b"end\n" + b"begin\nx\nend\n" * 2),
        (b"- a: yes\n- b: no\n- c: yes\n- d: no\n", b"- a: no\n- b: yes\n- c: no\n- d: yes\n"),  # draws
        # Two build paths, whose short words differ.
        (
            b"\0\xfe/tmp/a1/main.c\0\1/tmp/a1/util.c\0\xff/usr/lib/a1\0\2",
            b"\0\xfe/tmp/b2/main.c\0\1/tmp/b2/util.c\0\xff/usr/lib/b2\0\2",
        ),
        (b"\0\xff\1\2" * 8 + b"src=lib dst=bin tmp=var", b"\0\xff\1\2" * 8 + b"src=bin dst=lib tmp=opt"),
        (b"width=800 height=600", b"width=600 height=800"),
        (b"from alpha to beta", b"from beta to alpha"),
    ],
)
def test_what_was_put_in_or_drawn_is_no_order(tmp_path: Path, a: bytes, b: bytes) -> None:
    findings = explain(tmp_path, {"x": a}, {"x": b})
    assert findings
    assert "ordering" not in sure(findings)


@pytest.mark.parametrize("size", [2, 3, 5, 36, 88])
def test_records_of_any_size(tmp_path: Path, size: int) -> None:
    drawn = random.Random(size)  # noqa: S311
    records = [drawn.randbytes(size) for _ in range(12)]
    a, b = (b"\xff\0HEAD" + b"".join(side) + b"\0\xfe" for side in (records, drawn.sample(records, 12)))
    (finding,) = explain(tmp_path, {"x": a}, {"x": b})
    assert (finding.cause, finding.confidence) == ("ordering", "high")
    if size <= 5:  # One of them is another, and no strings in them show that the others moved.
        assert "ordering" not in sure(explain(tmp_path, {"x": a}, {"x": b[:-10] + drawn.randbytes(8) + b[-2:]}))


def test_bytes_in_another_order_are_no_units_in_another_order(tmp_path: Path) -> None:
    digits = bytes(range(200, 232))
    a, b = (b"\0\1\2" + bytes(random.Random(seed).sample(digits, 32)) + b"\0" for seed in (1, 2))  # noqa: S311
    assert sure(explain(tmp_path, {"x": a}, {"x": b})) == set()


@pytest.mark.parametrize(
    "lines",
    [
        [b"part %d" % n for n in range(8)],
        [b"%d" % n for n in range(8)],
        [b"compiled %s.c" % name for name in WORDS[:8]],
        [b"worker %d of 8 wrote its share" % n for n in range(8)],
        [b"[%d/8] %s" % (n, name) for n, name in enumerate(WORDS[:8])],
        [b"unit\t%d\tready" % n for n in range(20)],
    ],
)
def test_jobs_that_write_a_line_each(tmp_path: Path, lines: list[bytes]) -> None:
    one, other = (random.Random(seed).sample(lines, len(lines)) for seed in (1, 2))  # noqa: S311
    (finding,) = explain(tmp_path, {"log": b"\n".join(one)}, {"log": b"\n".join(other)})
    assert (finding.cause, finding.confidence) == ("parallelism", "low")
    assert "sort" not in finding.fix.lower()


def test_a_few_names_on_a_line_each_may_be_from_jobs(tmp_path: Path) -> None:
    (finding,) = explain(tmp_path, b"\n".join(WORDS[:6]), b"\n".join(WORDS[5::-1][1:] + WORDS[5:6]))
    assert finding.confidence == "low"


def test_only_what_moved_is_claimed(tmp_path: Path) -> None:
    """Between the words stands something that differs too."""
    a, b = (
        b"<" + b" ".join(words) + b"> " + sign * 3
        for words, sign in ((WORDS, "\u00e4".encode()), (SHUFFLED, "\u00f6".encode()))
    )
    findings = explain(tmp_path, a, b)
    assert findings[0].cause == "ordering"
    assert "places in the file that differ: 2" in findings[0].because or "unknown" in causes(findings)


@pytest.mark.parametrize("seed", range(6))
def test_a_few_names_among_numbers(tmp_path: Path, seed: int) -> None:
    """However few of them moved: the time is told, and the order is not all."""
    drawn = random.Random(seed)  # noqa: S311
    names = [b"libalpha.so.1", b"libbeta.so.2", b"libgamma.so.3", b"libdelta.so.4", b"libzeta.so.5"]
    a, b = (rows(*sorted((drawn.getrandbits(30), at, name) for name in names)) for at in (STARTED + 1, STARTED + 1201))
    findings = explain(tmp_path, {"x": a}, {"x": b})
    assert findings[0].cause in ("timestamp", "ordering")
    assert "timestamp" in sure(findings)


@pytest.mark.size
@pytest.mark.parametrize(
    ("a", "b"),
    [
        (b"a b " * (1 << 18), b"b a " * (1 << 18)),
        (b"a\nb\n" * (1 << 16), b"b\na\n" * (1 << 16)),
        (b"\0\xff" + bytes(range(256)) * 4000, b"\0\xff" + bytes(reversed(range(256))) * 4000),
        (b"\0\xff" + b"abcd\0" * (1 << 15), b"\0\xff" + b"dcba\0" * (1 << 15)),
        (b"\0\xff" + NOISE * 2, b"\0\xff" + NOISE[::-1] * 2),
        (b"".join(b"w%d " % n for n in range(90_000)), b"".join(b"w%d " % n for n in reversed(range(90_000)))),
        (b"".join(b"w%d " % n for n in TWICE), b"".join(b"w%d " % n for n in reversed(TWICE))),
    ],
    ids=["words", "lines", "columns", "strings", "noise", "names", "names that are there twice"],
)
def test_very_many_units_have_an_answer(tmp_path: Path, a: bytes, b: bytes) -> None:
    tracemalloc.start()
    assert explain(tmp_path, {"x": a}, {"x": b})
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 400 << 20
