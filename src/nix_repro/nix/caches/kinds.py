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
#: What the directory is called that holds the verified cache, and its key.
VERIFIED = "nix-repro-verified"


@dataclass(frozen=True)
class CacheLayer:
    """A cache layer: what people call it, its kind, its URL."""

    kind: LayerKind
    name: str
    url: str | None = None


LOCAL = CacheLayer("local", "local store")


RESTORED = CacheLayer("local", "local store (with what cache-nix-action restored)")


BUILT = CacheLayer("built", "built")


def recognise(url: str, upstream: Collection[str] = ()) -> CacheLayer:
    """The cache at a URL: an upstream one when it is among `upstream`, otherwise one of the project's."""
    base = normal(url)
    parts = urlsplit(base)
    host = (parts.hostname or "").lower()
    place = parts.netloc.rpartition("@")[2]
    if base in upstream:
        return CacheLayer("upstream", host or base, base)
    if place in MAGIC_NIX_CACHE:
        return CacheLayer("project", "Magic Nix Cache", base)
    if host.endswith(".cachix.org"):
        return CacheLayer("project", f"Cachix {host.removesuffix('.cachix.org')}", base)
    match parts.scheme:
        case "file" if parts.path.endswith(f"/{VERIFIED}/cache"):
            return CacheLayer("project", "verified cache", base)
        case "file" | "":
            return CacheLayer("project", f"directory {unquote(parts.path)}", base)
        case "s3":
            return CacheLayer("project", f"S3 bucket {host}", base)
        case "ssh" | "ssh-ng":
            return CacheLayer("project", f"store on {host}", base)
        case _:
            return CacheLayer("project", place or base, base)


def normal(url: str) -> str:
    """A cache's URL without parameters and final slash: the same cache is written in several ways."""
    return url.partition("?")[0].rstrip("/")
