"""Two blobs compared, and what is inside them when both are containers of one format, down to the innermost member."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from nix_repro.explain.budget import Budget
from nix_repro.explain.causes.model import Pair
from nix_repro.explain.compare.blob import Blob, MemoryBlob
from nix_repro.explain.compare.containers import REST, Container, Field, Member, open_container
from nix_repro.explain.compare.containers.zip import Deferred, unpacked
from nix_repro.explain.compare.difference import Difference
from nix_repro.explain.compare.names import renames
from nix_repro.explain.compare.spans import first_difference


def compare_contents(
    path: str, a: Blob, b: Blob, budget: Budget, inside: str = "", depth: int = 0
) -> Iterator[Difference]:
    numbers: tuple[tuple[Field, Field], ...] = ()
    first = None
    if isinstance(a, Deferred) and isinstance(b, Deferred):
        numbers = ((a.numbers, b.numbers),) if a.numbers != b.numbers else ()
        if (contents := unpacked(a, b, budget)) is not None:
            a, b = contents
            first = first_difference(a, b, budget)
    else:
        first = first_difference(a, b, budget)
    if first is None:
        if numbers:
            yield Difference(path, "field", fields=numbers, inside=inside, format="zip")
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
        if budget.cut or found[0].format == "elf" or all(side.packed for side in found):
            yield Difference(path, "wrapper", blobs=(a, b), inside=inside, format=found[0].format)
        else:
            yield Difference(path, "content", blobs=(a, b), first=first, inside=inside)
        return
    yield one
    yield from differences


def _compare_members(
    path: str, a: Container, b: Container, budget: Budget, inside: str, depth: int
) -> Iterator[Difference]:
    if a.format != b.format:
        formats = Field("compressor", a.format), Field("compressor", b.format)
        yield Difference(path, "field", fields=(formats,), inside=inside, format="")
        # Their headers have nothing in common.
        a, b = (Container(side.format, [m for m in side.members if m.blob is not None]) for side in (a, b))
    own = Member("", None, a.fields), Member("", None, b.fields)
    yield from _fields(path, [("", *own)], inside, a.format)
    of_a, of_b = dict(zip(a.keys, a.members, strict=True)), dict(zip(b.keys, b.members, strict=True))
    missing, extra = [key for key in a.keys if key not in of_b], [key for key in b.keys if key not in of_a]
    renamed = {
        old.decode(): new.decode()
        for old, new in renames(*([key.encode() for key in _named(side)] for side in (missing, extra)))
    }
    yield from _renamed(path, of_a, renamed, inside)
    for key in missing:
        if key not in renamed:
            yield Difference(_join(path, of_a[key], key), "missing", inside=_where(inside, of_a[key]), format=a.format)
    for key in sorted(set(extra) - set(renamed.values())):
        yield Difference(_join(path, of_b[key], key), "extra", inside=_where(inside, of_b[key]), format=a.format)
    order, other = (
        "\n".join(key for key in _named(side.keys) if key in of_a and key in of_b).encode() for side in (a, b)
    )
    if order != other:
        yield Difference(path, "order", order, other, inside=inside, format=a.format)
    of_b |= {old: of_b[new] for old, new in renamed.items()}
    common = [key for key in a.keys if key in of_b]
    yield from _fields(path, [(key, of_a[key], of_b[key]) for key in common], inside, a.format)
    differs = False
    for key in sorted(common, key=lambda key: of_a[key].derived):
        if budget.expired():
            return
        if (blobs := _contents(of_a[key], of_b[key])) is not None:
            where = _where(inside, of_a[key])
            if differs and of_a[key].derived:
                if first_difference(*blobs, budget) is not None:
                    yield Difference(_join(path, of_a[key], key), "follows", inside=where, format=a.format)
                continue
            for difference in compare_contents(_join(path, of_a[key], key), *blobs, budget, where, depth + 1):
                differs = True
                yield difference


def _named(keys: Iterable[str]) -> list[str]:
    """The keys of members, without those of what is between them."""
    return [key for key in keys if key[:1] != REST]


def _contents(a: Member, b: Member) -> tuple[Blob, Blob] | None:
    """What both hold, if either holds anything."""
    if a.blob is None and b.blob is None:
        return None
    return a.blob or MemoryBlob(b""), b.blob or MemoryBlob(b"")


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
        of_a, of_b = ({field.name: field for field in side.fields} for side in (a, b))
        for name in of_a | of_b:
            absent = Field(name, "absent")
            field, other = of_a.get(name, absent), of_b.get(name, absent)
            if other != field:
                differing.setdefault(name, []).append((key, a, field, other))
    for rows in differing.values():
        key, member, _, _ = min(rows, key=lambda row: (row[1].inside != "", row[1].blob is None, row[0]))
        pairs = tuple((left, right) for _, _, left, right in rows)
        where = _join(path, member, key) if key else path
        yield Difference(where, "field", fields=pairs, inside=inside, format=kind)


def _where(inside: str, member: Member) -> str:
    return ", ".join(filter(None, (inside, member.inside)))


def _join(path: str, member: Member, key: str) -> str:
    return path if member.inside else f"{path}!{key}"
