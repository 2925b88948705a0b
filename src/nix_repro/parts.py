"""What the parts of the report have in common, and those that stand by themselves."""

from __future__ import annotations

import msgspec


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """A part of the report: immutable, built by keyword, equal by value."""


class LedgerUse(Part, frozen=True, kw_only=True):
    """What earlier runs have saved this one: `verified` derivations were not built again, because enough builds agree,
    of which the `oldest` that counts was started then (ISO 8601), on so many `machines`; a build of each had taken
    `seconds` together. `rebuilt` derivations were built again."""

    verified: int
    rebuilt: int
    machines: int
    oldest: str | None = None
    seconds: float | None = None
