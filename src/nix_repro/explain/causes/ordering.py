"""The same units in another order: from hash seeds and directories (ordering), or from jobs that race (parallelism).

Only what changed places is claimed; whatever else differs goes on to the other rules.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

from nix_repro.explain.causes.model import EXPLAINED, Bounds, Match, Pair
from nix_repro.explain.causes.permutation import Permutation, Unit, moved, once_each, permutation
from nix_repro.explain.context import Context
from nix_repro.report import Confidence

LINE = re.compile(rb"[^\n]+")
#: Units of a line: words and paths. What was explained already is one, however long.
TOKEN = re.compile(rb"[A-Za-z0-9_.+/@$~-]+|\x1a+")
#: Two small numbers that changed places may be chance; words are not.
TELLING = re.compile(rb"[A-Za-z]{2}|\d{4}")
STRING = re.compile(rb"[\x20-\x7e]{4,}")
NUMBER = re.compile(rb"(\d+)")
#: What logs of jobs that run side by side say of themselves.
JOB = re.compile(
    rb"(?i)^\s*(?:\[\s*\d+(?:%|/\d+)\]|(?:HOST)?(?:CC|CXX|LD|AR|AS|GEN|LINK)\b)|\b(?:done|finish\w*|start\w*|complet\w*|compil\w*|build\w*|worker|thread|job|task|process\w*|passed|ok)\b"
)
#: A number that is a word of its own, as a loop counts its jobs; not one in a name.
COUNTED = re.compile(rb"(?<![\w./-])\d+(?![\w./-])")
#: More jobs do not run side by side.
JOBS = 64
#: The share of its strings that either side has to have in common with the other.
MOST = 0.75
#: More units are not put in order.
UNITS = 100_000
#: Fewer units may have changed places by chance,
FEW = 4
#: and of fewer strings among other bytes nothing is said.
FEWEST = 3
#: Fewer lines may have changed places by chance, or by jobs that write one each.
FEW_LINES = 10
#: Fewer units may be in order by chance: one in 120 shuffles of five is.
SORTED = 5


def ordering(pair: Pair, context: Context) -> Match | None:
    """Text: the lines, or the words of it. Binary: records of one size, or strings."""
    if len(pair.a) > 1 << 22 or len(pair.b) > 1 << 22:
        return None
    if not pair.text:
        return _binary(pair)
    if _as_often(LINE, pair, b" \t\r,;|"):
        lines = _lines(pair.a), _lines(pair.b)
        if (places := _same_units(*lines)) and len({line for line, _ in lines[0]}) > 1:
            return judge(*_texts(lines), places, context)
    if _as_often(TOKEN, pair, EXPLAINED):
        words = _words(pair.a), _words(pair.b)
        return _moved_words(*_texts(words), places) if (places := _same_units(*words)) else None
    return None


def _as_often(unit: re.Pattern[bytes], pair: Pair, around: bytes) -> bool:
    """Have both sides the same units equally often, but for what is stripped off around them, and not too many? Asked
    first, since most pairs have not, and the places of all would take much memory."""
    counts = []
    for side in (pair.a, pair.b):
        found = unit.findall(side)
        if len(found) > UNITS:
            return False
        counts.append(Counter(text for item in found if (text := item.strip(around))))
    return counts[0] == counts[1]


def _lines(data: bytes) -> list[Unit]:
    """Lines without what depends on where in a list they stand."""
    return [
        (line, (start, start + len(line)))
        for match in LINE.finditer(data)
        if (line := match[0].strip(b" \t\r,;|"))
        for start in (match.start() + match[0].index(line),)
    ]


def _words(data: bytes) -> list[Unit]:
    return [(EXPLAINED if match[0].startswith(EXPLAINED) else match[0], match.span()) for match in TOKEN.finditer(data)]


def _texts(sides: tuple[Sequence[Unit], Sequence[Unit]]) -> tuple[list[bytes], list[bytes]]:
    return [unit for unit, _ in sides[0]], [unit for unit, _ in sides[1]]


def _same_units(a: Sequence[Unit], b: Sequence[Unit]) -> list[tuple[Bounds, Bounds]]:
    """Where the sides differ, if they have the same units equally often; else nothing."""
    if len(a) != len(b) or Counter(unit for unit, _ in a) != Counter(unit for unit, _ in b):
        return []
    return moved(a, b)


def _moved_words(a: Sequence[bytes], b: Sequence[bytes], places: Sequence[tuple[Bounds, Bounds]]) -> Match | None:
    changed = {unit for x, y in zip(a, b, strict=True) if x != y for unit in (x, y)} - {EXPLAINED}
    telling = {unit for unit in changed if TELLING.search(unit)}
    if len(changed) < FEW and len(telling) < 2:
        return None
    order = permutation([unit for unit in a if unit in telling], [unit for unit in b if unit in telling])
    counts = Counter(a)
    if order is None and not any(counts[unit] == 1 for unit in changed):
        return None  # Each of several places has one of a few values: that is a draw, not an order.
    return Match("ordering", _sure(order), _because("words", len(a)), places, form="text")


def _sure(order: Permutation | None, few: int = FEW, fewest: int = 2) -> Confidence:
    """One unit elsewhere, or two that changed places, may be chance."""
    return "high" if order is not None and order.blocks >= few and order.fewest >= fewest else "low"


def judge(
    a: Sequence[bytes], b: Sequence[bytes], places: Sequence[tuple[Bounds, Bounds]], context: Context
) -> Match | None:
    """Of the same lines in two orders: did a race shuffle them, or a hash or directory? Null if lines that are there
    once have one order.

    A race leaves most of the order as it was; one core leaves all of it. That is a hint, never more.
    """
    order = permutation(a, b)
    if order is None:
        words = (
            "both sides have the same lines, some of them elsewhere; as each is there more than once, nothing is sure"
        )
        return Match("ordering", "low", words, places, form="text")
    sides, count = (order.a, order.b), len(order.a)
    cores = context.a.cores, context.b.cores
    serial = [_ascending(side) for side in sides]
    told = None not in cores and cores[0] != cores[1] and 1 in cores
    if count >= FEW and told and serial == [cores[0] == 1, cores[1] == 1]:
        words = (
            "the same lines, in order where the build had one core and out of order where it had "
            f"{max(filter(None, cores))}"
        )
        return Match("parallelism", "low", words, places, form="race")
    if count >= FEW and {_collation(side) for side in sides} == {"bytes", "language"}:
        words = "each side has the same lines sorted: once by bytes, once as a language does"
        return Match("locale", "high" if count > FEW else "low", words, places, form="sort")
    if _raced(order, serial, cores):
        words = (
            "the same lines with some changing places, as jobs do that run side by side; it may be an unsorted "
            "listing too. One core would tell"
        )
        return Match("parallelism", "low", words, places, form="race")
    return Match("ordering", _sure(order, FEW_LINES), _because("lines", len(a)), places, form="text")


def _raced(order: Permutation, serial: Sequence[bool], cores: tuple[int | None, int | None]) -> bool:
    """Could as well be jobs that wrote a line each: most of the order is unchanged, one side is in order, the lines
    are those of a log, or they are counted."""
    count = len(order.a)
    if any(had == 1 and not sorted_ for had, sorted_ in zip(cores, serial, strict=True)) and True in serial:
        return False  # In order only where there were more cores.
    jobs = sum(bool(JOB.search(line)) for line in order.a) * 2 >= count
    counted = count <= JOBS and len({COUNTED.sub(b"#", line) for line in order.a}) == 1 and order.disorder < 0.9
    return (
        (order.blocks >= 6 and order.disorder <= 0.2)
        or (jobs and (order.disorder < 0.9 or count < FEW))
        or (True in serial and SORTED <= count <= JOBS and order.disorder < 0.9)
        or counted
    )


def _collation(elements: Sequence[bytes]) -> str | None:
    """How the elements are sorted, if they are: by bytes, or by letters of whatever case before anything else."""
    if list(elements) == sorted(elements):
        return "bytes"
    for ignored in (rb"", rb"[^A-Za-z0-9\x80-\xff]"):
        keys = [re.sub(ignored, b"", element).lower() if ignored else element.lower() for element in elements]
        if keys == sorted(keys) and len(set(keys)) > 2:
            return "language"
    return None


def _ascending(elements: Sequence[bytes]) -> bool:
    keys = [[int(part) if part.isdigit() else part for part in NUMBER.split(element[:400])] for element in elements]
    # Splitting by a group alternates text and numbers, so like is compared with like.
    return all(left <= right for left, right in pairwise(keys))


#: Fewer bytes may be an anagram by chance.
LONG = 12
#: So may fewer kinds of bytes.
VARIED = 6
#: Sizes of records, the largest first: a permutation of larger ones is one of smaller ones too.
SIZES = (512, 256, 128, *range(96, 1, -1))
#: Records that are looked at, for all sizes and places where they may begin.
RECORDS = 1 << 20
#: Of records shorter than this, more have to move.
SHORT = 4


def _binary(pair: Pair) -> Match | None:
    (start, end), (start_b, end_b) = changed = pair.changed()
    a, b = pair.a[start:end], pair.b[start_b:end_b]
    same = len(a) == len(b) and Counter(a) == Counter(b)
    if same and len(pair.a) <= 1 << 20 and (found := _records(pair, start, end)) is not None:
        return found
    if (found := _strings(pair, changed if same else None)) is not None:
        return found
    if same and len(a) >= LONG and len(set(a)) >= VARIED:
        words = f"both sides have the same {len(a)} bytes in another order"
        return Match("ordering", "low", words, [changed], form="binary")
    return None


def _records(pair: Pair, start: int, end: int) -> Match | None:
    """Records of one size. Moved as wholes, each has its bytes in the same columns as before."""
    a, b, length = pair.a[start:end], pair.b[start:end], end - start
    left = RECORDS
    for size in SIZES:
        if length < 2 * size or not all(sorted(a[n::size]) == sorted(b[n::size]) for n in range(size)):
            continue
        for shift in range(min(size, start + 1)):
            first = start - shift
            count = -(-(length + shift) // size)
            if first + count * size > len(pair.a):
                continue
            left -= count
            if left < 0:
                return None
            records = [
                [(side[at : at + size], (at, at + size)) for at in range(first, first + count * size, size)]
                for side in (pair.a, pair.b)
            ]
            order = permutation(*_texts((records[0], records[1])))
            few = FEW if size >= SHORT else 2 * FEW
            if (places := _same_units(*records)) and _sure(order, few) == "high":
                words = _because(f"records of {size} bytes", len(places))
                return Match("ordering", "high", words, places, form="binary")
    return None


def _strings(pair: Pair, whole: tuple[Bounds, Bounds] | None) -> Match | None:
    """Strings that either side has once. When the changed region has the same bytes on both sides (`whole`), what
    stands around them moved with them."""
    texts = STRING.findall(pair.a), STRING.findall(pair.b)
    if max(map(len, texts)) > UNITS:
        return None
    once = once_each(*texts)
    common = set(once[0])
    if len(common) < MOST * max(len(set(side)) for side in texts):
        return None  # Two things that have little in common need not have that in one order.
    order = permutation(*once)
    sure = _sure(order, fewest=2 if Counter(texts[0]) == Counter(texts[1]) else 3)
    if order is None or (sure == "low" and order.blocks < FEWEST):
        return None
    left, right = (
        [(match[0], match.span()) for match in STRING.finditer(side) if match[0] in common] for side in (pair.a, pair.b)
    )
    places = [_padded(pair, *place) for place in moved(left, right)]
    claimed = [whole] if whole and sure == "high" else places
    return Match("ordering", sure, _because("strings", len(places)), claimed, form="binary")


def _padded(pair: Pair, a: Bounds, b: Bounds) -> tuple[Bounds, Bounds]:
    """A string with the zero bytes that fill its field up, where both sides have the field in the same place."""
    end = max(a[1], b[1])
    if a[0] != b[0] or pair.a[a[1] : end].strip(b"\0") or pair.b[b[1] : end].strip(b"\0"):
        return a, b
    return (a[0], end), (b[0], end)


def _because(what: str, count: int) -> str:
    return f"both sides have the same {count} {what} in another order"
