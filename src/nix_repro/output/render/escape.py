"""Escaping, one function for each place that text lands in.

Names, paths and log lines come from flakes, builds and archives, so all of it is hostile. Every function here takes any
`str` (lone surrogates included) and gives text that shows what was there and does nothing.
"""

from __future__ import annotations

import re
import urllib.parse

# Everything that moves a cursor, reorders text or cannot be seen: C0 and C1, line separators, bidirectional controls,
# zero-width and other format characters, tags, lone surrogates and noncharacters.
_INVISIBLE = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164"
    "\ud800-\udfff\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\ufffe\uffff\U000e0000-\U000e0fff]"
)
_INVISIBLE_BUT_NEWLINE_AND_TAB = re.compile(rf"(?![\n\t]){_INVISIBLE.pattern}")
# XML 1.0, production [2] Char: what no XML document can hold, not even as a reference.
_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
# Letters beyond ASCII need no escaping in Markdown or HTML; of ASCII only these do not. A dot is safe except after
# `www`, a dash, plus or equals sign except at the start.
_MARKUP = re.compile(r"[^A-Za-z0-9 ./+=,;?!'%()\-\u0080-\U0010ffff]|(?<=www)\.|\A[-+=]", re.IGNORECASE)
_LIST_NUMBER = re.compile(r"\A([0-9]{1,9})([.)])")
# GitHub links these in any text, after Markdown is done and entities are decoded: mentions, mail addresses, issues.
# An empty comment keeps the halves apart and leaves nothing behind when the text is copied.
_BREAK = "<!-- -->"
_ISSUE = re.compile(r"(?i)\b(GH)-(?=[0-9])")
_NOT_MERMAID = re.compile(r"[^\w .+?=/()-]")


def _show(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "\u2421"
    if 0xD800 <= code <= 0xDFFF:
        return "\ufffd"
    return f"<U+{code:04X}>"


def visible(text: str, limit: int | None = None) -> str:
    """One line of text in which nothing is hidden: control and invisible characters become pictures of themselves.

    With a `limit` (characters) the middle of a longer text gives way to an ellipsis: names differ at their ends.
    """
    shown = _INVISIBLE.sub(_show, text)
    if limit is not None and len(shown) > limit:
        head = (limit - 1) * 2 // 3
        shown = f"{shown[:head]}…{shown[len(shown) - (limit - 1 - head) :]}"
    return shown


def visible_lines(text: str) -> str:
    """The same for text of several lines: line feeds and tabs stay, a carriage return before a line feed goes."""
    return _INVISIBLE_BUT_NEWLINE_AND_TAB.sub(_show, text.replace("\r\n", "\n"))


def _entity(match: re.Match[str]) -> str:
    char = match[0]
    if char in "@#":
        return f"&#{ord(char)};{_BREAK}"
    if char == "$":
        # GitHub renders $…$ as mathematics unless the sign stands in an element of its own.
        return "<span>&#36;</span>"
    return f"&#{ord(char)};"


def text(value: str, limit: int | None = None) -> str:
    """Prose for GitHub's Markdown, inline, in a table cell or a heading, and for HTML.

    All punctuation becomes character references, which neither Markdown nor HTML takes for markup, so that one form
    is right wherever GitHub mixes the two.
    """
    shown = visible(value, limit).strip(" ")
    shown = _MARKUP.sub(_entity, shown)
    shown = _LIST_NUMBER.sub(lambda match: f"{match[1]}&#{ord(match[2])};", shown)
    return _ISSUE.sub(rf"\1-{_BREAK}", shown)


def code(value: str, limit: int | None = None) -> str:
    """A name or value in code type, for the same places as `text`. Unlike a span in backticks it can hold anything,
    a backslash before a pipe in a table cell too."""
    shown = text(value, limit)
    return f"<code>{shown}</code>" if shown else ""


def fence(value: str, language: str = "") -> str:
    """A fenced code block of its own lines; the fence is longer than any run of backticks inside it."""
    lines = visible_lines(value).rstrip("\n")
    longest = max((len(run) for run in re.findall(r"`+", lines)), default=0)
    ticks = "`" * max(3, longest + 1)
    return f"{ticks}{language}\n{lines}\n{ticks}"


def mermaid(value: str, limit: int = 60) -> str:
    """A task label of a mermaid gantt chart. A colon would end it, a semicolon or hash start something else, and a
    label that begins with a keyword is taken for one: callers put a sign of their own before it."""
    return _NOT_MERMAID.sub("·", visible(value, limit)).strip() or "·"


def comment_value(value: str) -> str:
    """A value inside an HTML comment: percent-encoded, and without the double dash that may not stand there."""
    return urllib.parse.quote(value.encode("utf-8", "replace"), safe="").replace("-", "%2D")


def xml(value: str) -> str:
    """Text that XML can hold; `xml.etree` escapes the rest."""
    return _NOT_XML.sub("\ufffd", value)


def terminal(value: str) -> str:
    """Lines for a terminal or a job's log: no escape sequence survives, lines and tabs do."""
    return visible_lines(value)


def log_line(value: str) -> str:
    """One line of somebody else's output in a job's log. The bar keeps `::` and `##[` away from the start of the line,
    where runners and GitHub's log view look for commands."""
    return "│ " + visible(value.replace("\t", "    "))
