"""Which parts of two snippets differ, so that a page can mark them: by words for text, by bytes for hex. Pure."""

from __future__ import annotations

import re
from difflib import SequenceMatcher
from typing import NamedTuple

#: Longer snippets are compared at their ends only: matching words takes time with the square of their number.
COMPARED = 1200
#: Bytes in a row of a hex dump: two dumps fit side by side, and one fits a phone.
ROW = 8
# An escape of the snippet itself, such as `\n` or `\x1b`, is one token: half of it means something else.
_TOKEN = re.compile(
    r"\\(?:x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8}|[nrt\\])|[0-9a-fA-F]{6,}|[0-9]+|[^\W\d_]+|\s|.",
    re.DOTALL,
)
_HEX = re.compile(r"[0-9a-f]{2}(?: [0-9a-f]{2})+(?: …)?|[0-9a-f]{2} …")


class Piece(NamedTuple):
    """A run of a snippet; `differs` when the other side has something else there, or nothing."""

    text: str
    differs: bool


class Row(NamedTuple):
    """A row of a hex dump. `offset` is the first byte's (eight hex digits), `cells` are bytes, `chars` the same bytes
    as ASCII."""

    offset: str
    cells: tuple[Piece, ...]
    chars: tuple[Piece, ...]


class Dump(NamedTuple):
    """Both sides as rows of bytes, those that differ by place marked. `more` says that bytes follow."""

    a: tuple[Row, ...]
    b: tuple[Row, ...]
    more: bool


def mark(a: str, b: str) -> tuple[tuple[Piece, ...], tuple[Piece, ...]]:
    """Both sides in pieces, the differing ones marked. Joined, the pieces of a side are that side."""
    ends_only = len(a) > COMPARED or len(b) > COMPARED
    spans = [_between_ends(a, b)] if ends_only else _merged(a, _by_tokens(a, b))
    left = _pieces(a, [(start, end) for start, end, _, _ in spans])
    return left, _pieces(b, [(start, end) for _, _, start, end in spans])


def dump(a: str, b: str, offset: int) -> Dump | None:
    """The dump of two snippets that start at `offset`. Null when one is not the hex that the comparison writes
    (`7f 45 4c …`)."""
    left, right = _HEX.fullmatch(a), _HEX.fullmatch(b)
    if left is None or right is None:
        return None
    cells = [side[0].removesuffix(" …").split(" ") for side in (left, right)]
    return Dump(
        _rows(cells[0], cells[1], offset), _rows(cells[1], cells[0], offset), a.endswith("…") or b.endswith("…")
    )


def _rows(cells: list[str], others: list[str], offset: int) -> tuple[Row, ...]:
    marked = [Piece(cell, place >= len(others) or others[place] != cell) for place, cell in enumerate(cells)]
    return tuple(
        Row(
            f"{offset + start:08x}",
            tuple(marked[start : start + ROW]),
            tuple(Piece(_char(cell), differs) for cell, differs in marked[start : start + ROW]),
        )
        for start in range(0, len(marked), ROW)
    )


def _char(cell: str) -> str:
    code = int(cell, 16)
    return chr(code) if 0x20 <= code < 0x7F else "·"


def _between_ends(a: str, b: str) -> tuple[int, int, int, int]:
    shorter = min(len(a), len(b))
    start = next((place for place in range(shorter) if a[place] != b[place]), shorter)
    tail = next((back for back in range(shorter - start) if a[-1 - back] != b[-1 - back]), shorter - start)
    return start, len(a) - tail, start, len(b) - tail


def _by_tokens(a: str, b: str) -> list[tuple[int, int, int, int]]:
    left: list[str] = _TOKEN.findall(a)
    right: list[str] = _TOKEN.findall(b)
    starts = _starts(left), _starts(right)
    return [
        (starts[0][i1], starts[0][i2], starts[1][j1], starts[1][j2])
        for tag, i1, i2, j1, j2 in SequenceMatcher(None, left, right, autojunk=False).get_opcodes()
        if tag != "equal"
    ]


def _starts(tokens: list[str]) -> list[int]:
    places = [0]
    for token in tokens:
        places.append(places[-1] + len(token))
    return places


def _merged(a: str, spans: list[tuple[int, int, int, int]]) -> list[tuple[int, int, int, int]]:
    """Spans that one sign lies between are one: the colons of a time and the dashes of a UUID do not help the eye."""
    merged: list[tuple[int, int, int, int]] = []
    for span in spans:
        if merged and span[0] - merged[-1][1] <= 1 and not a[merged[-1][1] : span[0]].isspace():
            merged[-1] = (merged[-1][0], span[1], merged[-1][2], span[3])
        else:
            merged.append(span)
    return merged


def _pieces(text: str, spans: list[tuple[int, int]]) -> tuple[Piece, ...]:
    pieces: list[Piece] = []
    place = 0
    for start, end in spans:
        pieces += [Piece(text[place:start], False), Piece(text[start:end], True)]
        place = end
    pieces.append(Piece(text[place:], False))
    return tuple(piece for piece in pieces if piece.text)
