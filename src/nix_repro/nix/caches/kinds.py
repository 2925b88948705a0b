"""What kind of cache is behind a URL, and what people call it. Pure."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from nix_repro.report import LayerKind

#: The environment variable in which action.yml says what became of its own steps for caches: `NAME=OUTCOME` words.
CACHE_STEPS = "NIX_REPRO_CACHES"
#: Where the Magic Nix Cache's daemon listens.
MAGIC_NIX_CACHE = ("127.0.0.1:37515", "localhost:37515")


@dataclass(frozen=True)
class Place:
    """A cache layer: what people call it, its kind, its URL."""

    kind: LayerKind
    name: str
    url: str | None = None


LOCAL = Place("local", "local store")


RESTORED = Place("local", "local store (with what cache-nix-action restored)")


BUILT = Place("built", "built")


def recognise(url: str, upstream: Collection[str] = ()) -> Place:
    """The cache at a URL: an upstream one when it is among `upstream`, otherwise one of the project's."""
    base = normal(url)
    parts = urlsplit(base)
    host = (parts.hostname or "").lower()
    if base in upstream:
        return Place("upstream", host or base, base)
    if parts.netloc in MAGIC_NIX_CACHE:
        return Place("project", "Magic Nix Cache", base)
    if host.endswith(".cachix.org"):
        return Place("project", f"Cachix {host.removesuffix('.cachix.org')}", base)
    match parts.scheme:
        case "file" | "":
            return Place("project", f"directory {unquote(parts.path)}", base)
        case "s3":
            return Place("project", f"S3 bucket {host}", base)
        case "ssh" | "ssh-ng":
            return Place("project", f"store on {host}", base)
        case _:
            return Place("project", parts.netloc or base, base)


def normal(url: str) -> str:
    """A cache's URL without parameters and final slash: the same cache is written in several ways."""
    return url.partition("?")[0].rstrip("/")
