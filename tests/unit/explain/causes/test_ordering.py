"""The same elements in another order: how surely, and whether a race, a locale or chance made it."""

from __future__ import annotations

import random
import struct
from pathlib import Path

import pytest

from nix_repro.explain.context import Context, Side
from sides import UNKNOWN, explain

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
