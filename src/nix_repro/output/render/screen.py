"""The terminal or log that something is printed on: how wide it is, which characters and colours it has."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, TextIO, cast

from rich.console import Console
from rich.text import Text

from nix_repro.output.render.lines import TableRow, table, wrap, wrap_code, wrap_command

#: How much a command says: its verdict alone, what matters, everything.
Verbosity = Literal["quiet", "normal", "verbose"]
#: Nothing is laid out for less.
NARROWEST = 20
#: The width of a terminal that does not say it.
USUAL = 80
#: What we print ourselves beyond ASCII, for terminals that have nothing else.
_ASCII = str.maketrans({"✓": "+", "✗": "x", "●": "*", "–": "-", "…": "...", "→": "->", "·": "|", "│": "|", "±": "+-"})


def only_ascii(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """Whether what is printed can show no more than ASCII: the stream's encoding is another than UTF-8, or it is a
    terminal and the locale says so. No locale at all says nothing."""
    encoding = (getattr(stream, "encoding", None) or "utf-8").lower().replace("-", "").replace("_", "")
    if not encoding.startswith("utf8"):
        return True
    names = (environ.get(name) for name in ("LC_ALL", "LC_CTYPE", "LANG"))
    locale = next((name for name in names if name), None)
    return stream.isatty() and locale is not None and "utf" not in locale.lower()


class _Ascii(io.TextIOBase):
    """A stream that shows in ASCII what is written to it."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        self._stream.write(text.translate(_ASCII).encode("ascii", "backslashreplace").decode("ascii"))
        return len(text)

    def flush(self) -> None:
        self._stream.flush()

    def isatty(self) -> bool:
        return self._stream.isatty()

    def fileno(self) -> int:
        return self._stream.fileno()


class Screen:
    """Prints lines in the width of what they are printed on; in a log, they are as long as they are, unless COLUMNS
    says how wide it is."""

    def __init__(self, stream: TextIO | None = None, environ: Mapping[str, str] | None = None) -> None:
        stream, environ = stream or sys.stdout, os.environ if environ is None else environ
        # Bold and dim are no colours, but escape sequences all the same.
        colours: Literal["auto"] | None = None if environ.get("NO_COLOR") else "auto"
        file = cast(TextIO, _Ascii(stream)) if only_ascii(stream, environ) else stream
        self.console = Console(file=file, highlight=False, color_system=colours)
        terminal = stream.isatty() and self.console.is_terminal
        #: Whether what was printed can be overwritten.
        self.live = terminal and not self.console.is_dumb_terminal
        self.width = _width(stream, environ, terminal=terminal)

    def line(self, text: Text | str = "", style: str = "") -> None:
        """One line as it is."""
        shown = text if isinstance(text, Text) else Text(text, style)
        self.console.print(shown, soft_wrap=True)

    def say(self, text: str, style: str = "", indent: int = 0, hanging: int | None = None) -> None:
        """One line of text in as many lines as it takes."""
        for line in wrap(text, self.width, indent, hanging):
            self.line(line, style)

    def code(self, line: str, style: str = "", indent: int = 0) -> None:
        """A line of a program."""
        for part in wrap_code(line, self.width, indent):
            self.line(part, style)

    def command(self, label: str, command: str, style: str = "", indent: int = 0) -> None:
        """A command to copy, behind a word that says what it is for."""
        for line in wrap_command(label, command, self.width, indent):
            self.line(line, style)

    def table(self, header: Sequence[str], rows: Sequence[TableRow], right: Iterable[str] = ()) -> None:
        """See `lines.table`."""
        for line in table(header, rows, tuple(right), self.width):
            self.line(line)


def _width(stream: TextIO, environ: Mapping[str, str], *, terminal: bool) -> int | None:
    given = environ.get("COLUMNS", "")
    columns = int(given) if given.isdecimal() else 0
    if not columns and terminal:
        try:
            columns = os.get_terminal_size(stream.fileno()).columns
        except (OSError, ValueError):
            columns = 0
        columns = columns or USUAL
    return max(columns, NARROWEST) if columns else None
