"""What goes on a command line of Nix: how much of it, and nothing that could be taken for an option.

Whatever a flake, a log, a report or a configuration says is data. Where it becomes an argument, it has been checked for
the shape that it must have, and stands behind `--`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping

#: Bytes that a command line and its environment may have together, whatever the system says: Linux takes 2 MiB unless
#: the stack is limited, macOS 1 MiB.
MOST = 2 << 20
#: Bytes for the rest of the command line, and for wrapper scripts around Nix that add to the environment.
RESERVE = 64 << 10
#: Bytes of arguments in one command at least.
LEAST = 8 << 10
#: Bytes that the system counts for an argument besides its characters: the final zero, and a pointer.
_EACH = 1 + 8


def room(environ: Mapping[str, str]) -> int:
    """Bytes of arguments that one command with this environment can have."""
    there = sum(_size(name) + _size(value) + 2 * _EACH for name, value in environ.items())
    return max(LEAST, min(MOST, os.sysconf("SC_ARG_MAX")) - there - RESERVE)


def batches(words: Iterable[str], room: int) -> Iterator[list[str]]:
    """The words in order, in groups that have room on one command line each."""
    batch: list[str] = []
    left = room
    for word in words:
        left -= _size(word) + _EACH
        if left < 0 and batch:
            yield batch
            batch, left = [], room - _size(word) - _EACH
        batch.append(word)
    if batch:
        yield batch


def with_operands(options: Iterable[str], operands: Iterable[str]) -> list[str]:
    """Options, then what they are about. Raises `ValueError` for what could be an option: `nix-store` takes its own
    also behind `--`."""
    words = list(operands)
    if (bad := next((word for word in words if word.startswith("-")), None)) is not None:
        raise ValueError(f"{bad!r} looks like an option")
    return [*options, "--", *words] if words else [*options]


def _size(word: str) -> int:
    return len(os.fsencode(word)) if not word.isascii() else len(word)
