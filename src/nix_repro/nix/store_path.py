"""Store paths, `DIRECTORY/DIGEST-NAME`: the one place that knows what they are made of.

They are carried as the text that Nix prints and takes: graphs and reports have tens of thousands of them, as keys
mostly. `StorePath` is for who looks inside one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from nix_repro.nix.hashes import BASE32

#: Characters of a digest: 20 bytes in base 32.
DIGEST_LENGTH = 32
#: A digest and a name as regular expressions.
DIGEST = rf"[{BASE32}]{{{DIGEST_LENGTH}}}"
NAME = r"[A-Za-z0-9+._?=-]+"

_BASE_NAME = re.compile(rf"({DIGEST})-(.+)", re.DOTALL)
_DERIVATION = re.compile(rf"/[^\s\0]*/{DIGEST}-{NAME}\.drv")
_OPERAND = re.compile(rf"{DIGEST}-{NAME}(?:\.drv[!^]{NAME}(?:,{NAME})*)?")


class StorePath(NamedTuple):
    """A store path in its parts; a derivation's name ends in `.drv`. What is no store path has an empty digest and its
    last component as the name."""

    directory: str
    digest: str
    name: str

    @classmethod
    def of(cls, path: str) -> StorePath:
        directory, _, base = path.rpartition("/")
        found = _BASE_NAME.fullmatch(base)
        return cls(directory, found[1], found[2]) if found else cls(directory, "", base)


def store_name(path: str) -> str:
    """What people call it: the name, without `.drv`."""
    return StorePath.of(path).name.removesuffix(".drv")


def is_derivation(text: str, store: str | None = None) -> bool:
    """Whether this is the path of a .drv file, in the directory `store` or in whatever store, and nothing else."""
    return _DERIVATION.fullmatch(text) is not None and store in (None, text.rpartition("/")[0])


def outputs_of(drv_path: str, names: Iterable[str]) -> str:
    """How outputs of a derivation are named to `nix-store`: `DRV!OUTPUT,OUTPUT`."""
    return f"{drv_path}!{','.join(names)}"


def is_operand(text: str, store: str) -> bool:
    """Whether this is a path directly in the directory `store`, or `DRV!OUTPUT,OUTPUT` of a .drv there (with `^` for
    `nix` itself), and nothing else: what Nix's commands are about."""
    directory, _, base = text.rpartition("/")
    return directory == store and _OPERAND.fullmatch(base) is not None


def containing(path: str, store: str) -> str | None:
    """The path directly below the directory `store` that `path` is or lies in; None outside of it."""
    inside = path.removeprefix(f"{store}/")
    return None if inside == path else f"{store}/{inside.partition('/')[0]}"
