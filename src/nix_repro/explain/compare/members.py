"""Two blobs compared, and what is inside them when both are containers of one format, down to the innermost member."""

from __future__ import annotations

from collections.abc import Iterator

from nix_repro.explain.budget import Budget
from nix_repro.explain.causes.model import Pair
from nix_repro.explain.compare.blob import Blob
from nix_repro.explain.compare.containers import Container, Field, Member, open_container
from nix_repro.explain.compare.containers.elf import DERIVED
from nix_repro.explain.compare.containers.zip import Deferred
from nix_repro.explain.compare.difference import Difference
from nix_repro.explain.compare.names import renames
from nix_repro.explain.compare.spans import first_difference


def compare_contents(
    path: str, a: Blob, b: Blob, budget: Budget, inside: str = "", depth: int = 0
) -> Iterator[Difference]:
    if isinstance(a, Deferred) and isinstance(b, Deferred) and a.checksum == b.checksum:
        return
    first = first_difference(a, b, budget)
    if first is None:
        return
    found = open_container(a, b, budget) if depth < budget.nesting else None
    if depth >= budget.nesting:
        budget.say("containers are nested deeper than is unpacked for a comparison")
    if found is None:
        yield Difference(path, "content", blobs=(a, b), first=first, inside=inside)
        return
    yield Difference(path, "container", blobs=(a, b), inside=inside)
    differences = _compare_members(path, *found, budget, inside, depth)
    one = next(differences, None)
    if one is None:
        yield Difference(path, "wrapper", blobs=(a, b), inside=inside, format=found[0].format)
        return
    yield one
    yield from differences


def _compare_members(
    path: str, a: Container, b: Container, budget: Budget, inside: str, depth: int
) -> Iterator[Difference]:
    for left, right in zip(a.fields, b.fields, strict=False):
        if left != right:
            yield Difference(path, "field", fields=((left, right),), inside=inside, format=a.format)
    of_a, of_b = dict(zip(a.keys, a.members, strict=True)), dict(zip(b.keys, b.members, strict=True))
    common = [key for key in a.keys if key in of_b]
    missing, extra = [key for key in a.keys if key not in of_b], [key for key in b.keys if key not in of_a]
    renamed = {
        old.decode(): new.decode()
        for old, new in renames([key.encode() for key in missing], [key.encode() for key in extra])
    }
    yield from _renamed(path, of_a, renamed, inside)
    for key in missing:
        if key not in renamed:
            yield Difference(_join(path, of_a[key], key), "missing", inside=inside, format=a.format)
    for key in sorted(set(extra) - set(renamed.values())):
        yield Difference(_join(path, of_b[key], key), "extra", inside=inside, format=a.format)
    order = [key for key in b.keys if key in of_a]
    if common != order:
        yield Difference(
            path, "order", "\n".join(common).encode(), "\n".join(order).encode(), inside=inside, format=a.format
        )
    of_b |= {old: of_b[new] for old, new in renamed.items()}
    common += renamed
    yield from _fields(path, [(key, of_a[key], of_b[key]) for key in common], inside, a.format)
    held_back = DERIVED if a.format == "elf" else ()
    differs = False
    for key in sorted(common, key=lambda key: key in held_back):
        if budget.expired() or (differs and key in held_back):
            return
        blob_a, blob_b = of_a[key].blob, of_b[key].blob
        if blob_a is not None and blob_b is not None:
            where = ", ".join(filter(None, (inside, of_a[key].inside)))
            for difference in compare_contents(_join(path, of_a[key], key), blob_a, blob_b, budget, where, depth + 1):
                differs = True
                yield difference


def _renamed(path: str, of_a: dict[str, Member], renamed: dict[str, str], inside: str) -> Iterator[Difference]:
    """Members whose own name differs: told once for all whose names differ in the same way, as below one directory."""
    told: set[tuple[bytes, bytes]] = set()
    for old, new in renamed.items():
        names = Pair(old.encode(), new.encode(), 0)
        place_a, place_b = names.changed()
        change = names.a[slice(*place_a)], names.b[slice(*place_b)]
        if change not in told:
            told.add(change)
            yield Difference(_join(path, of_a[old], old), "name", names.a, names.b, inside=inside)


def _fields(path: str, members: list[tuple[str, Member, Member]], inside: str, kind: str) -> Iterator[Difference]:
    """One difference per header field, told of the first file concerned: an archive's members mostly share it."""
    differing: dict[str, list[tuple[str, Member, Field, Field]]] = {}
    for key, a, b in members:
        of_b = {field.name: field for field in b.fields}
        for field in a.fields:
            other = of_b.get(field.name, Field(field.name, "absent"))
            if other != field:
                differing.setdefault(field.name, []).append((key, a, field, other))
    for rows in differing.values():
        key, member, _, _ = min(rows, key=lambda row: (row[1].blob is None, row[0]))
        pairs = tuple((left, right) for _, _, left, right in rows)
        yield Difference(_join(path, member, key), "field", fields=pairs, inside=inside, format=kind)


def _join(path: str, member: Member, key: str) -> str:
    return path if member.inside else f"{path}!{key}"
