"""Several installables in one text, as an input or a line of a file has them."""

from __future__ import annotations

import re

#: A part of the text. Marks behind a dot or a `#` are those of an attribute's name and stay, all others are as for a
#: shell, which takes them off; an apostrophe may be a name's last letter. A comma parts installables as a space does,
#: but not the outputs behind a `^`.
_PART = re.compile(
    r"""(?P<plain>[^\s,"'^]+|\^(?:[\w*]+(?:,[\w*]+)*)?|(?<=[\w-])'+)
    |(?P<name>(?<=[.\#])"(?:[^"\\]|\\.)*")
    |'(?P<literal>[^']*)'
    |"(?P<escaped>(?:[^"\\]|\\.)*)"
    |(?P<between>[\s,]+)""",
    re.VERBOSE | re.DOTALL,
)


def split(text: str) -> tuple[str, ...]:
    """The installables in a text, parted by spaces, line ends or commas. Raises `ValueError` for a quotation mark that
    is not closed."""
    found, word, at = [], "", 0
    while at < len(text):
        part = _PART.match(text, at)
        if part is None:
            raise ValueError(f"{text[at : at + 100]!r}: this quotation mark is not closed")
        if part["between"] is not None:
            found.append(word)
            word = ""
        elif part["escaped"] is not None:
            word += re.sub(r"\\([\"\\$`])", r"\1", part["escaped"])
        else:
            word += part["plain"] or part["name"] or part["literal"] or ""
        at = part.end()
    return tuple(word for word in [*found, word] if word)
