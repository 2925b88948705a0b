"""Where in the repository's Nix files an attribute is defined, as well as reading them without evaluating can tell."""

from __future__ import annotations

import re
from bisect import bisect
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from nix_repro.nix.checkout import tracked_files

if TYPE_CHECKING:
    from nix_repro.report import DerivationReport

#: Nix files in which derivations are looked for.
_FILES = 300
#: Bytes of such a file.
_FILE_BYTES = 500_000
#: Bytes of all of them.
_BYTES = 20_000_000
#: How deep braces are followed, and names of one attribute path: whoever nests deeper is not believed to be serious.
_DEPTH = 40
_NAMES = 12

# Everything is bounded: a file may hold any text, and none of it is to be slow.
_NAME = r"""(?:[A-Za-z_][\w'-]{0,200}+|"(?:[^"\\$\n]|\\.|\$(?!\{)){0,200}+"|\$\{[^{}\n]{0,200}+\})"""
_TOKEN = re.compile(
    rf"""(?P<comment>\#[^\n]*|/\*.*?(?:\*/|\Z))
    |(?P<path>{_NAME}(?:\s{{0,50}}+\.\s{{0,50}}+{_NAME}){{0,{_NAMES}}}+)(?=\s{{0,50}}=(?!=))
    |(?P<text>''(?:[^']|'(?!')|''(?:['$]|\\.))*+(?:''|\Z)|"(?:[^"\\]|\\.)*+(?:"|\\?\Z))
    |(?P<word>[A-Za-z_][\w'-]*+(?:\.[A-Za-z_][\w'-]*+)*+)
    |(?P<mark>[{{}}();\[\]])""",
    re.VERBOSE | re.DOTALL,
)
_PART = re.compile(r"""\$\{[^}]*\}|"((?:[^"\\]|\\.)*)"|([^."\s]+)""", re.DOTALL)
#: Stands for a name that is computed.
_ANY = ""


class Location(NamedTuple):
    """A file relative to the repository and a line in it, counted from 1; null when nothing says which."""

    file: str
    line: int | None


class _Binding(NamedTuple):
    """`names` are those of the attribute, and before them those of what it stands in."""

    names: tuple[str, ...]
    place: Location


def attribute_names(path: str) -> tuple[str, ...]:
    """The names of an attribute path, as Nix reads them: `a."b.c"` has two. Computed ones are empty."""
    found = _PART.finditer(path)
    return tuple(
        _ANY
        if part[0].startswith("${")
        else re.sub(r"\\(.)", r"\1", part[1], flags=re.DOTALL)
        if part[1]
        else part[2] or _ANY
        for part in found
    )


def nix_files(root: Path) -> dict[str, str]:
    """The tracked .nix files under `root` by their relative path, flake.nix first; bounded in number and size."""
    tracked = tracked_files(root)
    listed = ["flake.nix"] if tracked is None else [name for name in tracked if name.endswith(".nix")]
    names = sorted(listed, key=lambda name: (name != "flake.nix", name))
    found: dict[str, str] = {}
    left = _BYTES
    for name in names[:_FILES]:
        path = root / name
        try:
            # A link may point anywhere, also out of the checkout.
            if path.is_file() and not path.is_symlink() and (size := path.stat().st_size) <= min(_FILE_BYTES, left):
                found[name] = path.read_text("utf-8", "replace")
                left -= size
        except OSError:
            continue
    return found


def locator(files: Mapping[str, str], prefix: str = "") -> Callable[[DerivationReport], Location | None]:
    """Where a derivation is defined, as well as the text can tell: its attribute, else its name, else flake.nix.

    `prefix` is put before the files' names, for a flake in a subdirectory of the repository.
    """

    @cache
    def bindings() -> dict[str, list[_Binding]]:
        found: dict[str, list[_Binding]] = {}
        for file, text in files.items():
            for binding in _bindings(file, text):
                found.setdefault(binding.names[-1], []).append(binding)
        return found

    def locate(derivation: DerivationReport) -> Location | None:
        found = next(filter(None, (_best(bindings(), attr) for attr in derivation.attrs)), None)
        found = found or _named(files, derivation.name)
        if found is None:
            return Location(prefix + "flake.nix", None) if "flake.nix" in files else None
        return Location(prefix + found.file, found.line)

    return locate


def _best(bindings: Mapping[str, list[_Binding]], attr: str) -> Location | None:
    """The place of the binding that has most of an attribute's names, in their order."""
    wanted = attribute_names(attr)
    found = bindings.get(wanted[-1], []) if wanted else []
    best = max(found, key=lambda binding: _common(binding.names, wanted), default=None)
    return best.place if best is not None else None


def _common(names: tuple[str, ...], wanted: tuple[str, ...]) -> tuple[int, int]:
    """How many names, from the last one on, are those of the attribute: others may stand between them. And how many of
    these are not computed."""
    common, certain, at = 0, 0, len(wanted) - 1
    for name in reversed(names):
        here = next((i for i in range(at, -1, -1) if name in (wanted[i], _ANY)), None)
        if here is not None:
            common, certain, at = common + 1, certain + (name != _ANY), here - 1
    return common, certain


def _bindings(file: str, text: str) -> Iterator[_Binding]:
    """The attributes that a Nix file sets. Nothing is evaluated: names are those that stand there."""
    lines = [found.start() for found in re.finditer("\n", text)]
    outside: list[tuple[tuple[str, ...], tuple[str, ...]]] = []
    around: tuple[str, ...] = ()
    last: tuple[str, ...] = ()
    for token in _TOKEN.finditer(text):
        if (path := token["path"]) is not None:
            last = attribute_names(path)
            if last and last[-1] != _ANY:
                yield _Binding(around + last, Location(file, bisect(lines, token.start()) + 1))
        elif (mark := token["mark"]) is not None:
            if mark in "{([":
                outside.append((around, last))
                around, last = (around + last if len(outside) < _DEPTH else around), ()
            elif mark in "})]" and outside:
                around, last = outside.pop()
            elif mark == ";":
                last = ()


def _named(files: Mapping[str, str], name: str) -> Location | None:
    """Where a text has the derivation's name: as one, else at all."""
    plain = re.escape(re.sub(r"-[0-9][^-]*$", "", name))
    for pattern in (rf'\bp?name\s{{0,50}}=\s{{0,50}}"{plain}', rf'"{plain}"'):
        for file, text in files.items():
            if found := re.search(pattern, text):
                return Location(file, text.count("\n", 0, found.start()) + 1)
    return None
