"""What is behind a cache's URL."""

from __future__ import annotations

import pytest

from nix_repro.nix.caches.kinds import recognise


@pytest.mark.parametrize(
    ("url", "name", "kind"),
    [
        ("http://127.0.0.1:37515/?priority=1", "Magic Nix Cache", "project"),
        ("https://my-team.cachix.org", "Cachix my-team", "project"),
        ("https://cache.nixos.org/", "cache.nixos.org", "upstream"),
        ("file:///var/my%20cache?trusted=true", "directory /var/my cache", "project"),
        ("file:///tmp/x/nix-repro-verified/cache", "verified cache", "project"),
        ("s3://bucket?endpoint=x", "S3 bucket bucket", "project"),
        ("ssh-ng://host", "store on host", "project"),
        ("https://attic.example:8080/main", "attic.example:8080", "project"),
    ],
)
def test_caches_are_recognised_by_url(url: str, name: str, kind: str) -> None:
    place = recognise(url, ["https://cache.nixos.org"])
    assert (place.name, place.kind) == (name, kind)
