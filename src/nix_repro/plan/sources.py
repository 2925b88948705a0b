"""Which source of a derivation stands where another one stood. Pure.

A source's own name tells little: `src = ./.` of a flake is called after the flake's own store path, which holds a hash,
and several are all called `source`. So sources are paired by where the derivation speaks of them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from nix_repro.nix.derivation import Derivation
from nix_repro.nix.store_path import DIGEST, DIGEST_LENGTH, NAME, store_name

STORE = "/nix/store/"
STORE_PATH = re.compile(rf"{STORE}{DIGEST}-{NAME}")
#: What Nix and nixpkgs call a source to which nobody gives a name.
UNNAMED = "source"
_HASHED = re.compile(rf"^(?:{DIGEST}-)+(?=.)")
#: What follows a path within its word: `/sub` of `/nix/store/…-source/sub`.
_REST = re.compile(r"[^\s\"':;,)\]}]*")


@dataclass(frozen=True)
class _Place:
    """One occurrence of a source: in which part of the derivation, under which name, and what follows it there."""

    part: str
    name: str
    rest: str
    path: str


def source_name(path: str) -> str:
    """What people call a source: its name without the hash of what it is a copy of."""
    return _HASHED.sub("", store_name(path))


def pair_sources(old: Derivation, new: Derivation) -> list[tuple[str | None, str | None]]:
    """The sources that only one side has, paired by place: in the same part of the derivation by their names and what
    follows them, then by their order there; and by name where a source has moved to another part."""
    ours, theirs = set(new.input_srcs), set(old.input_srcs)
    gone = [path for path in old.input_srcs if path not in ours]
    fresh = [path for path in new.input_srcs if path not in theirs]
    before, after = list(_places(old, gone)), list(_places(new, fresh))
    found: dict[str, str] = {}
    _match(before, after, lambda place: (place.part, place.name, place.rest), found)
    _match(before, after, lambda place: (place.part, place.name), found)
    _match(before, after, lambda place: place.part, found, whole=True)
    # Where one stands nowhere, as in a derivation that names its sources in another way, there is only its name.
    before += [_Place("", source_name(path), "", path) for path in gone]
    after += [_Place("", source_name(path), "", path) for path in fresh]
    _match(before, after, lambda place: place.name, found)
    taken = set(found.values())
    return [(found.get(path), path) for path in fresh] + [(path, None) for path in gone if path not in taken]


def _match(
    before: Sequence[_Place],
    after: Sequence[_Place],
    key: Callable[[_Place], Hashable],
    found: dict[str, str],
    *,
    whole: bool = False,
) -> None:
    """Add pairs of what has the same key and no partner yet, in their order. `whole`: only where both sides have the
    same number of them, because there is nothing else to go by."""
    taken = set(found.values())
    left = _by_key((place for place in before if place.path not in taken), key)
    right = _by_key((place for place in after if place.path not in found), key)
    for each, paths in right.items():
        partners = left.get(each, [])
        if whole and len(partners) != len(paths):
            continue
        for path, partner in zip(paths, partners, strict=False):
            if path not in found and partner not in taken:
                found[path] = partner
                taken.add(partner)


def _by_key(places: Iterable[_Place], key: Callable[[_Place], Hashable]) -> dict[Hashable, list[str]]:
    grouped: dict[Hashable, dict[str, None]] = {}
    for place in places:
        grouped.setdefault(key(place), {}).setdefault(place.path)
    return {each: list(paths) for each, paths in grouped.items()}


def _places(drv: Derivation, paths: Collection[str]) -> Iterator[_Place]:
    known = dict.fromkeys(paths, "")
    parts = {"builder": drv.builder, "arguments": "\n".join(drv.args), **environment(drv)}
    for part, text in parts.items():
        for match in STORE_PATH.finditer(text):
            path = known_path(match.group(), known)
            if path is not None:
                rest = _REST.match(text, match.start() + len(path))
                yield _Place(part, source_name(path), rest.group() if rest else "", path)


def known_path(text: str, known: Collection[str]) -> str | None:
    """The longest known path that a match begins with: a name may be followed by characters that a name could have."""
    if text in known:
        return text
    stop = len(text)
    while (stop := max(text.rfind(mark, 0, stop) for mark in "._?=+-")) > len(STORE) + DIGEST_LENGTH + 1:
        if text[:stop] in known:
            return text[:stop]
    return None


def environment(drv: Derivation) -> Mapping[str, str]:
    """The environment without the outputs' own paths, structured attributes one by one."""
    env = {name: value for name, value in drv.env.items() if name not in drv.outputs}
    if "__json" in env:
        try:
            attrs = json.loads(env.pop("__json"))
        except (ValueError, RecursionError):
            return env
        env |= (
            {str(k): v if isinstance(v, str) else json.dumps(v, sort_keys=True) for k, v in attrs.items()}
            if isinstance(attrs, dict)
            else {}
        )
    return env
