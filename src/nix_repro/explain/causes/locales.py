"""What a locale or a terminal changes in text that says the same: separators, quotes, names of days, the width of
lines."""

from __future__ import annotations

import re

from nix_repro.explain.causes.model import Match, Pair, decoded
from nix_repro.explain.context import Context

#: What separates the digits of a number; a version has more of them, and a list spaces.
SEPARATOR = re.compile("(?<![\\w.,])(\\d{1,3}(?:([.,' \u00a0\u202f])\\d{3})*|\\d+)(?:([.,])(\\d+))?(?![\\w.,])")
FANCY = str.maketrans(
    {"\u2018": "'", "\u2019": "'", "`": "'", "\u201c": '"', "\u201d": '"', "\u201e": '"', "\u00ab": '"', "\u00bb": '"'}
)
ENGLISH = re.compile(
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?"
    r"|mon(?:day)?|tues?(?:day)?|wed(?:nesday)?|thu(?:rs)?(?:day)?|fri(?:day)?|sat(?:urday)?|sun(?:day)?|am|pm)\.?",
    re.IGNORECASE,
)
WORD = re.compile(r"[^\W\d_]+\.?")
FOREIGN = re.compile(rb"[\x80-\xff]+|\?+")


def locale_text(pair: Pair, _context: Context) -> Match | None:
    if not pair.text or len(pair.a) > 1 << 16 or len(pair.b) > 1 << 16:
        return None
    a, b = decoded(pair)
    words = None
    if _separators(a, b):
        words = "the same numbers are written with other separators"
    elif a.translate(FANCY) == b.translate(FANCY):
        words = "the same text has other quotation marks"
    elif a.isascii() != b.isascii() and FOREIGN.sub(b"?", pair.a) == FOREIGN.sub(b"?", pair.b):
        words = "what is not ASCII was lost on one side"
    elif _translated_date(a, b):
        words = "a date has its day or month named in two languages"
    return Match("locale", "low", words, [pair.changed()]) if words else None


def _separators(a: str, b: str) -> bool:
    """Nothing but the marks in numbers differs, and every mark of one side is always the same one on the other."""
    left, right = list(SEPARATOR.finditer(a)), list(SEPARATOR.finditer(b))
    if len(left) != len(right) or SEPARATOR.sub("\0", a) != SEPARATOR.sub("\0", b):
        return False
    points: set[tuple[str | None, str | None]] = set()
    for x, y in zip(left, right, strict=True):
        if re.sub(r"\D", "", x[0]) != re.sub(r"\D", "", y[0]):
            return False
        if x[0] != y[0]:
            points.add((re.sub(r"\d", "", x[0]), re.sub(r"\d", "", y[0])))
    return bool(points) and not points & {(second, first) for first, second in points}


def _translated_date(a: str, b: str) -> bool:
    """The numbers agree, and of the words that differ those of exactly one side are English days and months."""
    if re.findall(r"\d+", a) != re.findall(r"\d+", b) or not re.search(r"\d", a):
        return False
    left, right = WORD.findall(a), WORD.findall(b)
    if len(left) != len(right):
        return False
    differing = [(x, y) for x, y in zip(left, right, strict=True) if x != y]
    english = [all(pair[side][0].isupper() and ENGLISH.fullmatch(pair[side]) for pair in differing) for side in (0, 1)]
    beside = all(
        any(
            re.search(rf"\d[ ,./-]*{re.escape(pair[n])}|{re.escape(pair[n])}[ ,./-]*\d", (a, b)[n])
            for pair in differing
        )
        for n in (0, 1)
    )
    return english[0] != english[1] and beside


def line_width(pair: Pair, _context: Context) -> Match | None:
    """The same words, in lines of another length."""
    if not pair.text or pair.a.split() != pair.b.split():
        return None
    if [line.split() for line in pair.a.splitlines()] == [line.split() for line in pair.b.splitlines()]:
        return None
    widths = [max(map(len, side.splitlines()), default=0) for side in (pair.a, pair.b)]
    if len(pair.a.split()) < 8 or abs(widths[0] - widths[1]) < 4:
        return None
    words = (
        f"the same words are broken into lines of at most {widths[0]} and {widths[1]} characters, as for terminals of "
        "two widths"
    )
    return Match("environment", "low", words, [pair.changed()], form="width")
