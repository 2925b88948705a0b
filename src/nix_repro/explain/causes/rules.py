"""The rules in the order in which they are tried. What one explains is erased from the pair and the rest is asked about
again, so that several causes in one line are several answers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from nix_repro.explain.causes.code import go_build_id
from nix_repro.explain.causes.encoded import encoded_timestamp
from nix_repro.explain.causes.layout import (
    large_number,
    named_number,
    plain_number,
    pointer_bytes,
    pointer_text,
    rounded,
)
from nix_repro.explain.causes.locales import locale_text
from nix_repro.explain.causes.machine import cores, machine_shapes, machine_values, zones
from nix_repro.explain.causes.model import EXPLAINED, Bounds, Match, Pair, Rule, erase, left_over
from nix_repro.explain.causes.named import instruction_sets, named_surroundings, variables
from nix_repro.explain.causes.ordering import ordering
from nix_repro.explain.causes.randomness import (
    large_number_bytes,
    random_bytes,
    random_letters,
    random_numbers,
    random_token,
)
from nix_repro.explain.causes.timestamp import binary_timestamp, text_timestamp
from nix_repro.explain.context import Context

#: What equals something known of the builds comes first, then structure, then mere shapes.
RULES: tuple[Rule, ...] = (
    go_build_id,
    text_timestamp,
    binary_timestamp,
    encoded_timestamp,
    machine_values,
    zones,
    ordering,
    pointer_text,
    pointer_bytes,
    locale_text,
    machine_shapes,
    cores,
    instruction_sets,
    named_surroundings,
    named_number,
    rounded,
    random_token,
    random_bytes,
    large_number_bytes,
    variables,
    random_numbers,
    large_number,
    random_letters,
    plain_number,
)
#: Causes found in one pair at most.
ROUNDS = 32
FILLED = re.compile(EXPLAINED + b"+")


class Explained(NamedTuple):
    """A match, and the pair it was found in as it first was."""

    match: Match
    pair: Pair


def explain_pair(
    pair: Pair, context: Context, rules: Sequence[Rule], *, filled: bool = False
) -> tuple[list[Explained], bool]:
    """Everything that explains a part of the pair, and whether that leaves nothing unexplained. `filled`: a part of it
    is explained already, and the filling is nothing that a file holds."""
    found: list[Explained] = []
    rest = pair
    for _ in range(ROUNDS):
        match = next((match for rule in rules if (match := rule(rest, context)) and match.places), None)
        if match is None:
            break
        found.append(Explained(match, pair))
        rest = erased(rest, match)
        if settled(rest) if filled else complete(pair, found):
            return found, True
    return found, filled and settled(rest)


def erased(pair: Pair, match: Match) -> Pair:
    places_a: list[Bounds] = [a for a, _ in match.places]
    places_b: list[Bounds] = [b for _, b in match.places]
    return Pair(erase(pair.a, places_a), erase(pair.b, places_b), pair.offset, pair.text)


def complete(pair: Pair, found: Iterable[Explained]) -> bool:
    """Whether both sides are equal but for what was found in them. By the places, not by what they were filled with:
    a file may hold such bytes itself."""
    places = [place for explained in found for place in explained.match.places]
    return left_over(pair.a, [a for a, _ in places]) == left_over(pair.b, [b for _, b in places])


def settled(pair: Pair) -> bool:
    """Whether both sides are equal but for what is filled, where nothing else looks so."""
    return FILLED.sub(EXPLAINED, pair.a) == FILLED.sub(EXPLAINED, pair.b)
