"""The same elements in another order: from hash seeds and directories (ordering), or from jobs that race
(parallelism)."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

from nix_repro.explain.causes.model import EXPLAINED, Match, Pair
from nix_repro.explain.context import Context

#: Elements of a line: words and paths, and strings in quotes as a whole.
TOKEN = re.compile(rb"[A-Za-z0-9_.+/@$~-]+|\x1a+")
WORD = re.compile(rb"[A-Za-z0-9_.-]{4,}")
NUMBER = re.compile(rb"(\d+)")
#: What logs of jobs that run side by side say of themselves.
JOB = re.compile(
    rb"(?i)^\s*(?:\[\s*\d+(?:%|/\d+)\]|(?:HOST)?(?:CC|CXX|LD|AR|AS|GEN|LINK)\b)|\b(?:done|finish\w*|start\w*|complet\w*|compil\w*|build\w*|worker|thread|job|task|process\w*|passed|ok)\b"
)
#: Beyond this many, quadratic work is not worth its answer.
MANY = 2000
#: Fewer elements may be in the order of two locales by chance.
SORTED = 4


def ordering(pair: Pair, context: Context) -> Match | None:
    """Text: the lines, or the words of it. Binary: strings, or records of one size."""
    if len(pair.a) > 1 << 22 or len(pair.b) > 1 << 22:
        return None
    changed = pair.changed()
    if not pair.text:
        return _binary(pair, changed[0][1] - changed[0][0])
    lines = (
        [line.strip(b" \t\r,;|") for line in pair.a.split(b"\n")],
        [line.strip(b" \t\r,;|") for line in pair.b.split(b"\n")],
    )
    if lines[0] != lines[1] and Counter(lines[0]) == Counter(lines[1]) and len(set(lines[0])) > 1:
        return judge([line for line in lines[0] if line], [line for line in lines[1] if line], "lines", pair, context)
    tokens = TOKEN.findall(pair.a), TOKEN.findall(pair.b)
    if tokens[0] != tokens[1] and Counter(tokens[0]) == Counter(tokens[1]) and _telling(tokens[0], tokens[1]):
        return Match("ordering", "high", _because("words", len(tokens[0])), [changed], form="text")
    return None


def _telling(a: Sequence[bytes], b: Sequence[bytes]) -> bool:
    """Two numbers that changed places may be chance; words, or several elements, are not."""
    moved = {left for left, right in zip(a, b, strict=True) if left != right} - {EXPLAINED}
    return len(moved) >= 4 or (len(moved) >= 2 and any(re.search(rb"[A-Za-z]{2}|\d{4}", token) for token in moved))


def judge(a: Sequence[bytes], b: Sequence[bytes], what: str, pair: Pair, context: Context) -> Match:
    """Of elements in two orders: did a race shuffle them, or a hash or directory?

    A race leaves most of the order as it was; one core leaves all of it. That is a hint, never more.
    """
    changed = [pair.changed()]
    cores = context.a.cores, context.b.cores
    moved = _moved(a, b)
    count = len(moved[0])
    if not 2 <= count <= MANY:
        return Match("ordering", "high", _because(what, len(a)), changed, form="text")
    serial = [_ascending(side) for side in moved]
    if count >= 4 and cores[0] != cores[1] and 1 in cores and serial == [cores[0] == 1, cores[1] == 1]:
        words = (
            f"the same {what}, in order where the build had one core and out of order where it had "
            f"{max(filter(None, cores))}"
        )
        return Match("parallelism", "low", words, changed, form="race")
    if count >= SORTED and {_collation(side) for side in moved} == {"bytes", "language"}:
        words = f"each side has the same {what} sorted: once by bytes, once as a language does"
        return Match("locale", "high" if count > SORTED else "low", words, changed, form="sort")
    disordered = disorder(*moved)
    jobs = sum(bool(JOB.search(element)) for element in moved[0]) * 2 >= count
    if (count >= 6 and disordered <= 0.2) or (jobs and disordered < 0.9) or (jobs and count < 4):
        words = (
            f"the same {what} with some changing places, as jobs do that run side by side; it may be an unsorted "
            "listing too"
        )
        return Match("parallelism", "low", words, changed, form="race")
    # Of two or three, a race may have swapped any.
    return Match("ordering", "high" if count >= 4 else "low", _because(what, len(a)), changed, form="text")


def _collation(elements: Sequence[bytes]) -> str | None:
    """How the elements are sorted, if they are: by bytes, or by letters of whatever case before anything else."""
    if list(elements) == sorted(elements):
        return "bytes"
    for ignored in (rb"", rb"[^A-Za-z0-9\x80-\xff]"):
        keys = [re.sub(ignored, b"", element).lower() if ignored else element.lower() for element in elements]
        if keys == sorted(keys) and len(set(keys)) > 2:
            return "language"
    return None


def _moved(a: Sequence[bytes], b: Sequence[bytes]) -> tuple[Sequence[bytes], Sequence[bytes]]:
    """The elements that are there once, from the first to the last that is not where it was."""
    counts = Counter(a)
    left, right = ([element for element in side if counts[element] == 1] for side in (a, b))
    places = [index for index, (x, y) in enumerate(zip(left, right, strict=True)) if x != y]
    return (left[places[0] : places[-1] + 1], right[places[0] : places[-1] + 1]) if places else ([], [])


def disorder(a: Sequence[bytes], b: Sequence[bytes]) -> float:
    """The share of pairs of elements whose order differs: 0 for none, about one half for a shuffle, 1 for the
    reverse."""
    ranks: dict[bytes, list[int]] = {}
    for position, element in enumerate(b):
        ranks.setdefault(element, []).append(position)
    order = [ranks[element].pop(0) for element in a]
    swapped = sum(left > right for index, left in enumerate(order) for right in order[index + 1 :])
    return swapped / max(1, len(order) * (len(order) - 1) // 2)


def _ascending(elements: Sequence[bytes]) -> bool:
    keys = [[int(part) if part.isdigit() else part for part in NUMBER.split(element[:400])] for element in elements]
    # Splitting by a group alternates text and numbers, so like is compared with like.
    return all(left <= right for left, right in pairwise(keys))


def _binary(pair: Pair, length: int) -> Match | None:
    strings = [part for part in pair.a.split(b"\0") if part], [part for part in pair.b.split(b"\0") if part]
    if len(strings[0]) > 2 and strings[0] != strings[1] and Counter(strings[0]) == Counter(strings[1]):
        return Match("ordering", "high", _because("strings", len(strings[0])), [pair.changed()], form="binary")
    if len(pair.a) != len(pair.b) or len(pair.a) > 1 << 20:
        return None
    start = pair.changed()[0][0]
    for size in (32, 24, 20, 16, 12, 8, 4, 2):
        for shift in range(min(size, start + 1)):
            first = start - shift
            count = -(-(length + shift) // size)
            end = first + count * size
            if count < 4 or end > len(pair.a):
                continue
            records = [[side[at : at + size] for at in range(first, end, size)] for side in (pair.a, pair.b)]
            if Counter(records[0]) == Counter(records[1]) and len(set(records[0])) > 3:
                return Match(
                    "ordering",
                    "high",
                    _because(f"records of {size} bytes", count),
                    [((first, end), (first, end))],
                    form="binary",
                )
    return _same_bytes(pair)


#: Fewer bytes may be an anagram by chance.
LONG = 12
#: So may fewer kinds of bytes.
VARIED = 6


def _same_bytes(pair: Pair) -> Match | None:
    """Records of no fixed size: every byte is on both sides equally often, and so is every word."""
    (start, end), (start_b, end_b) = changed = pair.changed()
    a, b = pair.a[start:end], pair.b[start_b:end_b]
    if len(a) >= LONG and len(set(a)) >= VARIED and Counter(a) == Counter(b):
        return Match(
            "ordering", "high", f"both sides have the same {len(a)} bytes in another order", [changed], form="binary"
        )
    words = WORD.findall(pair.a), WORD.findall(pair.b)
    if words[0] != words[1] and Counter(words[0]) == Counter(words[1]) and len(set(words[0])) >= 4:
        return Match("ordering", "high", _because("words", len(words[0])), [changed], form="binary")
    return None


def _because(what: str, count: int) -> str:
    return f"both sides have the same {count} {what} in another order"
