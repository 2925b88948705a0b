"""Layers and hit rate, from their facts alone."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from nix_repro.metrics.layers import attribute, hit_rate, layers
from nix_repro.nix.caches.kinds import BUILT, LOCAL
from nix_repro.nix.derivation import Derivation, DrvOutput
from nix_repro.nix.log.recorder import Activity

_paths = st.sampled_from([f"/nix/store/{c * 32}-{c}" for c in "abcdfghij"])

_urls = st.sampled_from(
    ["http://127.0.0.1:37515", "https://x.cachix.org", "https://cache.nixos.org/", "s3://bucket?region=x"]
)


@given(st.sets(_paths), st.lists(st.tuples(_paths, _urls)), st.sets(_paths))
def test_every_path_is_in_exactly_one_layer(needed: set[str], attempts: list[tuple[str, str]], built: set[str]) -> None:
    fetched = [Activity(path, url, float(i), i + 0.5) for i, (path, url) in enumerate(attempts)]
    places = attribute(needed, fetched=fetched, built=built, upstream=["https://cache.nixos.org"])
    sizes = {path: len(path) for path in needed}
    rows = layers(places, sizes, fetched=fetched, builds=[])
    assert set(places) == needed
    assert sum(row.paths for row in rows) == len(needed)
    assert sum(row.bytes or 0 for row in rows) == sum(sizes.values())
    last = dict(attempts)
    for path, place in places.items():
        expected = (
            "built"
            if path in built
            else "local"
            if path not in last
            else "upstream"
            if "nixos.org" in last[path]
            else "project"
        )
        assert place.kind == expected


def drv(name: str, **env: str) -> Derivation:
    return Derivation(f"/nix/store/{name}.drv", name, "", "", (), env, {"out": DrvOutput(f"/nix/store/{name}")}, {}, ())


def test_hit_rate_counts_what_a_cache_could_have_had() -> None:
    everything = [
        drv("hit"),
        drv("missed"),
        drv("mine"),
        drv("local", preferLocalBuild="1"),
        drv("never", allowSubstitutes=""),
    ]
    outputs = {f"/nix/store/{d.name}": d for d in everything}
    places = dict.fromkeys(outputs, BUILT) | {"/nix/store/hit": LOCAL, "/nix/store/below": LOCAL}
    found = hit_rate(places, outputs, lambda d: d.name != "mine")
    assert (found.hits, found.possible, found.rate, found.missed) == (2, 3, 2 / 3, ("/nix/store/missed.drv",))
    assert hit_rate({}, {}, lambda _: True).rate is None
    assert hit_rate({"/nix/store/mine": BUILT}, outputs, lambda _: False).rate is None
