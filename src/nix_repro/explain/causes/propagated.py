"""Differences that come with an input: the same bytes differ there, or the input's own path does."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass

from nix_repro.explain.budget import Budget
from nix_repro.explain.causes.derived import Sources
from nix_repro.explain.causes.model import Match, Pair, paired, spans
from nix_repro.explain.compare.trees import compare_trees
from nix_repro.explain.context import Context
from nix_repro.nix.store_path import DIGEST, NAME

STORE_PATH = re.compile(
    rf"(?P<dir>/[A-Za-z0-9_./-]{{0,255}}?/store/|(?<![A-Za-z0-9]))(?P<hash>{DIGEST})-(?P<name>{NAME})".encode()
)
WORD = re.compile(rb"[A-Za-z0-9_.:+-]")
#: Fewer bytes may be in an input by chance.
SHORTEST = 5
#: Bytes of both sides in which paths are looked for: lines, not files, since the pattern is slow where none ends.
LONGEST = 64 << 10
#: Bytes of the inputs' differing files that are remembered.
KEPT = 16 << 20


@dataclass(frozen=True)
class DivergentInputs:
    """What differs in the inputs that diverge: the contents of their differing files, per side."""

    contents: tuple[tuple[str, bytes, bytes], ...]


def read_inputs(context: Context, budget: Budget, sources: Sources) -> DivergentInputs:
    """What differs in the inputs; whatever is a digest of that is found in `sources`."""
    contents = []
    kept = KEPT
    for item in context.inputs:
        if item.a is None or item.b is None:
            continue
        for difference in compare_trees(os.fsencode(item.a), os.fsencode(item.b), budget):
            sources.take(difference, f"{item.store_path}/{difference.path}", of_input=True)
            if difference.kind == "content" and difference.blobs and kept > 0:
                a, b = (blob.read(0, min(kept, 4 << 20)) for blob in difference.blobs)
                kept -= len(a) + len(b)
                contents.append((f"{item.store_path}/{difference.path}", a, b))
    return DivergentInputs(tuple(contents))


def propagated(inputs: DivergentInputs) -> Callable[[Pair, Context], Match | None]:
    def rule(pair: Pair, context: Context) -> Match | None:
        if (copied := _same_bytes(pair, inputs)) is not None or len(pair.a) + len(pair.b) > LONGEST:
            return copied
        return _store_paths(pair, context)

    return rule


def _same_bytes(pair: Pair, inputs: DivergentInputs) -> Match | None:
    if not inputs.contents:
        return None
    bare = pair.changed()
    # A whole word says more; in binary data what stands beside it may look like a part of it.
    for place_a, place_b in (
        (_to_words(pair.a, *bare[0]), _to_words(pair.b, *bare[1])),
        *(() if pair.text else (bare,)),
    ):
        a, b = pair.a[slice(*place_a)], pair.b[slice(*place_b)]
        if min(len(a), len(b)) < SHORTEST:
            continue
        for path, in_a, in_b in inputs.contents:
            if a in in_a and b in in_b and a not in in_b and b not in in_a:
                return Match(
                    "propagated",
                    "high",
                    f"the same bytes differ in the input {path}",
                    [(place_a, place_b)],
                    form="content",
                )
    return None


def _to_words(data: bytes, start: int, end: int) -> tuple[int, int]:
    while start > 0 and WORD.match(data, start - 1):
        start -= 1
    while end < len(data) and WORD.match(data, end):
        end += 1
    return start, end


def _store_paths(pair: Pair, context: Context) -> Match | None:
    found = [
        (left, right)
        for left, right in paired(STORE_PATH, pair)
        if left["name"].split(b"/")[0] == right["name"].split(b"/")[0] and left["hash"] != right["hash"]
    ]
    own = (context.store_path or "").encode()
    found = [(left, right) for left, right in found if left["hash"] not in own and right["hash"] not in own]
    if not found:
        return None
    known = {item.store_path.encode()[-len(left[0]) :] for item in context.inputs for left, _ in found}
    sure = any(left[0].endswith(tuple(known)) for left, _ in found) if known else False
    words = f"the input {found[0][0][0].decode('latin-1')} has another path in the rebuild: it differs itself"
    return Match("propagated", "high" if sure else "low", words, spans(found), form="path")
