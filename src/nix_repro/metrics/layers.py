"""Which cache layer every needed path came from, and the hit rate. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from nix_repro.nix.caches.kinds import BUILT, LOCAL, RESTORED, CacheLayer, normal, recognise
from nix_repro.nix.derivation import Derivation
from nix_repro.nix.log.intervals import covered
from nix_repro.nix.log.recorder import Activity
from nix_repro.report import Layer, LayerKind


def attribute(
    needed: Iterable[str],
    *,
    fetched: Sequence[Activity],
    built: Collection[str],
    upstream: Collection[str] = (),
    restored: bool = False,
) -> dict[str, CacheLayer]:
    """The one place every path came from. `built` are the outputs of builders that ran, `fetched` all attempts in
    order: the last one is the one that succeeded, unless the path was built in the end. Anything else was there
    before."""
    origins = {activity.name: activity.origin for activity in fetched}
    local = RESTORED if restored else LOCAL
    return {
        p: BUILT if p in built else recognise(origins[p], upstream) if p in origins else local
        for p in dict.fromkeys(needed)
    }


def layers(
    places: Mapping[str, CacheLayer],
    sizes: Mapping[str, int],
    *,
    fetched: Sequence[Activity],
    builds: Sequence[Activity],
) -> tuple[Layer, ...]:
    """What each layer served, in the order in which Nix asks them. The seconds are those in which it was at work."""
    spans: dict[CacheLayer, list[tuple[float, float]]] = {BUILT: [(a.started, a.stopped or a.started) for a in builds]}
    for activity in fetched:
        if (place := places.get(activity.name)) is not None and place.url == normal(activity.origin):
            spans.setdefault(place, []).append((activity.started, activity.stopped or activity.started))
    paths: dict[CacheLayer, list[str]] = {}
    for path, place in places.items():
        paths.setdefault(place, []).append(path)
    order: tuple[LayerKind, ...] = ("local", "project", "upstream", "built")
    return tuple(
        Layer(
            kind=place.kind,
            name=place.name,
            url=place.url,
            paths=len(found),
            bytes=sum(sizes[path] for path in found) if all(path in sizes for path in found) else None,
            seconds=round(covered(spans[place]), 3) if place in spans else None,
        )
        for place, found in sorted(paths.items(), key=lambda item: (order.index(item[0].kind), item[0].name))
    )


@dataclass(frozen=True)
class HitRate:
    """`rate` is None when nothing could have been a hit. `missed` are the derivations that were built though a cache
    should have had them."""

    rate: float | None
    hits: int
    possible: int
    missed: tuple[str, ...]


def substitutable(drv: Derivation) -> bool:
    """Would Nix look for it in a cache at all, and is it worth uploading?"""
    return drv.env.get("preferLocalBuild") not in ("1", "true") and not drv.never_fetched


def hit_rate(
    places: Mapping[str, CacheLayer], outputs: Mapping[str, Derivation], unchanged: Callable[[Derivation], bool]
) -> HitRate:
    """Needed, unchanged, substitutable outputs that were present or fetched ÷ all such.

    `outputs` maps output paths to their derivations, `unchanged` tells which of these a cache can be expected to
    have. Paths of derivations nobody knows (a fetched one's own closure) are unchanged: nobody here could make them.
    """
    hits = possible = 0
    missed: dict[str, None] = {}
    for path, place in places.items():
        drv = outputs.get(path)
        if drv is not None and (not unchanged(drv) or not substitutable(drv)):
            continue
        possible += 1
        if place.kind == "built":
            missed.setdefault(drv.drv_path if drv is not None else path)
        else:
            hits += 1
    return HitRate(hits / possible if possible else None, hits, possible, tuple(missed))
