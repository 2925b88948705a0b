"""Text laid out in lines of a terminal's width: whole words where that is possible, and nothing is ever left out. Pure.

Widths are in cells: a character may take two of them. A width of None is that of a log: lines are as long as they are.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from rich.cells import cell_len, chop_cells
from rich.text import Text

#: Cells between the columns of a table.
GAP = 2
#: The narrowest that a column of names becomes before a table's rows are written as records.
NAMES = 24
# Where a name may be broken: behind what joins its parts.
_PART = re.compile(r"[^-._/:=?&+,;#@!|]*[-._/:=?&+,;#@!|]+|[^-._/:=?&+,;#@!|]+")
_COMMENT = re.compile(r"(.*?)(?:(?<=\s)|^)# (.*)")
_WORD = re.compile(r"\s*\S+")
# A word of a command line, with its quotes, as `shlex.join` writes it.
_ARGUMENT = re.compile(r"(?:'[^']*'|\"[^\"]*\"|\\.|[^\s'\"\\])+")


def wrap(text: str, width: int | None, indent: int = 0, hanging: int | None = None) -> list[str]:
    """One line of text in lines of at most `width` cells, broken between words; a word that is longer than a line
    behind one of its hyphens, dots or slashes, and only where it has none anywhere. `indent` are spaces before the
    first line, `hanging` those before the others, the same if it is not given."""
    hanging = indent if hanging is None else hanging
    if width is None:
        return [" " * indent + text.rstrip()]
    lines: list[str] = []
    line, start = " " * indent, True
    for word in _WORD.findall(text):
        for part, more in _fitting(word, max(width - max(indent, hanging), 8)):
            told = part.lstrip() if start and lines else part
            if cell_len(line) + cell_len(told if more else told.rstrip()) > width:
                told = told.lstrip()
                if not start:
                    lines.append(line.rstrip())
                    line = " " * hanging
            line += told
            start = False
    return [*lines, line.rstrip()] if line.strip() or not lines else lines


def _fitting(word: str, room: int) -> Iterator[tuple[str, bool]]:
    """A word, whole if there is room for it on a line of its own, else in parts; and whether more of it follows."""
    if cell_len(word.lstrip()) <= room:
        yield word, False
        return
    parts = [piece for part in _PART.findall(word) for piece in (chop_cells(part, room) or [part])]
    for number, part in enumerate(parts, 1):
        yield part, number < len(parts)


def wrap_code(line: str, width: int | None, indent: int = 0) -> list[str]:
    """A line of Nix or shell. In one that is too long, the comment at its end gets lines of its own, and stays one."""
    found = _COMMENT.fullmatch(line)
    if width is None or cell_len(line) + indent <= width or found is None:
        return wrap(line, width, indent, indent + GAP)
    code, comment = found.groups()
    sign = " " * indent + "# "
    told = [sign + part for part in wrap(comment, max(width - len(sign), 8))]
    return [*told, *wrap(code, width, indent, indent + GAP)] if code.strip() else told


def wrap_command(label: str, command: str, width: int | None, indent: int = 0) -> list[str]:
    """A command in lines that a shell takes for one when they are copied. Its words stay whole: one that is longer than
    a line is left to the terminal, which knows that its two halves are one."""
    if width is None:
        return [f"{' ' * indent}{label}{command}"]
    lines, line = [], " " * indent + label
    started = False
    words = _ARGUMENT.findall(command)
    if "".join(words).replace(" ", "") != command.replace(" ", ""):
        words = command.split(" ")
    for word in words:
        if started and cell_len(line) + 1 + cell_len(word) + GAP > width:
            lines.append(f"{line} \\")
            line, started = " " * (indent + 2), False
        line += f" {word}" if started else word
        started = True
    return [*lines, line]


Cell = tuple[str, str]


@dataclass(frozen=True)
class TableRow:
    """A row of a table: `cells` of text and style, the first a sign or "", the second a name or "". `note` is what else
    is to be said, on lines of its own; there may be nothing but that."""

    cells: Sequence[Cell]
    note: str = ""


def table(header: Sequence[str], rows: Sequence[TableRow], right: Iterable[str], width: int | None) -> list[Text]:
    """Rows in columns. Names are wrapped where the columns are too wide together. Where that does not help, every row
    is a record: its name, and its cells with their heads below. `right` are the heads of columns that are aligned to
    the right."""
    texts = [header, *([text for text, _ in row.cells] for row in rows if row.cells)]
    widths = [max(map(cell_len, column)) for column in zip(*texts, strict=True)]
    over = sum(widths) + GAP * (len(widths) - 1) - (width or 0)
    if width is not None and over > 0:
        if widths[1] - over < NAMES:
            return [line for row in rows for line in (*_record(header, row.cells, width), *_note(row, width))]
        widths[1] -= over
    aligned = [head in right for head in header]
    lines = _columns([(head, "dim") for head in header], widths, aligned)
    for row in rows:
        lines += [*_columns(row.cells, widths, aligned), *_note(row, width)]
    return lines


def _note(row: TableRow, width: int | None) -> list[Text]:
    return [Text(line) for line in wrap(row.note, width, 4)] if row.note else []


def _columns(row: Sequence[Cell], widths: Sequence[int], right: Sequence[bool]) -> list[Text]:
    if not row:
        return []
    columns = [wrap(text, width) for (text, _), width in zip(row, widths, strict=True)]
    lines = []
    for parts in zip_longest(*columns, fillvalue=""):
        line = Text()
        for part, (_, style), width, to_right in zip(parts, row, widths, right, strict=True):
            space = " " * (width - cell_len(part))
            line.append(space if to_right else "")
            line.append(part, style=style)
            line.append((space if not to_right else "") + " " * GAP)
        line.rstrip()
        lines.append(line)
    return lines


def _record(header: Sequence[str], row: Sequence[Cell], width: int) -> list[Text]:
    if not row:
        return []
    (sign, style), (name, named), *others = row
    told = ", ".join(f"{head} {text}" for head, (text, _) in zip(header[2:], others, strict=True) if text)
    lines = []
    if name:
        first, *more = wrap(name, width, 2, 4)
        lines = [Text.assemble((sign.ljust(1), style), " ", (first[2:], named)), *(Text(line, named) for line in more)]
    return [*lines, *(Text(line) for line in wrap(told, width, 4))]
