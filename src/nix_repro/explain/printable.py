"""Bytes made fit to be shown: names and snippets, bounded, with nothing that a terminal or a page would act on."""

from __future__ import annotations

#: Characters of the bytes that a finding shows.
SNIPPET = 160


def escape(text: str) -> str:
    """Control characters, bidirectional overrides and undecodable bytes become visible escapes."""
    return "".join(
        char
        if char.isprintable()
        else char.encode("unicode_escape", "replace").decode()
        if not 0xDC80 <= ord(char) <= 0xDCFF
        else f"\\x{ord(char) - 0xDC00:02x}"
        for char in text
    )


def name(raw: bytes) -> str:
    """A file or member name; a backslash of its own is doubled so that escapes stay unambiguous."""
    return escape(raw.decode("utf-8", "surrogateescape").replace("\\", "\\\\"))


def snippet(data: bytes, text: bool) -> str:
    """At most SNIPPET characters of text, or of hex for what is no text."""
    if text:
        shown = escape(data[: SNIPPET * 4].decode("utf-8", "surrogateescape"))
        return shown if len(shown) <= SNIPPET else shown[: SNIPPET - 1] + "…"
    return data[:32].hex(" ") + (" …" if len(data) > 32 else "")
