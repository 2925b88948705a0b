"""A path in the directory of a binary cache: what its .narinfo says, and which go first when there is no room. Pure."""

from __future__ import annotations

import base64
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from nix_repro.nix.graph import ordered
from nix_repro.nix.hashes import BASE32, sri
from nix_repro.nix.store_path import StorePath, is_operand

#: A file's own name among the archives: its hash and how it is packed.
_ARCHIVE = re.compile(rf"nar/[{BASE32}]{{52}}\.nar(?:\.[a-z0-9]{{1,5}})?")
_HASH = re.compile(rf"sha256:[{BASE32}]{{52}}")
_SECRET = re.compile(r"([A-Za-z0-9._-]{1,100}):([A-Za-z0-9+/]{86}==)")


@dataclass(frozen=True)
class Held:
    """A path that a cache holds. `archive` is its file in the cache's directory, of `size` bytes. `references` are
    store paths, `needed` is when it was last of use, in seconds since the epoch."""

    path: str
    nar_hash: str
    archive: str
    size: int
    references: frozenset[str]
    needed: float = 0.0


def read(text: str, digest: str, store: str, needed: float) -> Held:
    """What the .narinfo of the path with this digest says. Raises `ValueError` when it is none that Nix has written
    for the directory `store`: also what leads out of the cache."""
    pairs = dict(line.partition(": ")[::2] for line in text.splitlines())
    path, archive, hashed = pairs.get("StorePath", ""), pairs.get("URL", ""), pairs.get("NarHash", "")
    references = frozenset(f"{store}/{base}" for base in pairs.get("References", "").split())
    paths = is_operand(path, store) and all(is_operand(reference, store) for reference in references)
    if not (paths and StorePath.of(path).digest == digest):
        raise ValueError("it describes another path, or none")
    if not (_ARCHIVE.fullmatch(archive) and _HASH.fullmatch(hashed) and pairs.get("FileSize", "").isdecimal()):
        raise ValueError("it does not say what is in the cache")
    return Held(path, sri(hashed), archive, int(pairs["FileSize"]), references, needed)


def placeholder(path: str) -> str:
    """A .narinfo that says no more than that there is such a path."""
    return f"StorePath: {path}\nURL: nar/none\nNarHash: sha256:{'0' * 52}\nNarSize: 1\n"


def public_key(secret: str) -> str:
    """The public half of a key as Nix writes keys, `NAME:BASE64`. Raises `ValueError` for what is no secret one."""
    if (found := _SECRET.fullmatch(secret.strip())) is None:
        raise ValueError("its key is none")
    return f"{found[1]}:{base64.b64encode(base64.b64decode(found[2])[32:]).decode()}"


def referring(held: Mapping[str, Held], paths: Collection[str]) -> set[str]:
    """The paths, and whatever refers to them."""
    found = set(paths)
    for path in ordered(held, lambda path: held[path].references):
        if held[path].references & found:
            found.add(path)
    return found


def surplus(held: Mapping[str, Held], room: int) -> set[str]:
    """The paths that have to go for the rest to take no more than `room` bytes: what has no room by itself, then those
    that were needed longest ago. A path goes after all that refer to it, and is needed when these are."""
    from_the_top = ordered(held, lambda path: held[path].references)[::-1]
    needed: dict[str, float] = {}
    for path in from_the_top:
        needed[path] = max(needed.get(path, 0.0), held[path].needed)
        for reference in held[path].references & held.keys():
            needed[reference] = max(needed.get(reference, 0.0), needed[path])
    gone = referring(held, {path for path in held if held[path].size > room})
    taken = sum(held[path].size for path in held if path not in gone)
    # Sorting leaves what is of one age in its order.
    for path in sorted(from_the_top, key=needed.__getitem__):
        if taken <= room:
            break
        if path not in gone:
            gone.add(path)
            taken -= held[path].size
    return gone
