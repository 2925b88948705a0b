"""What the parts of the report have in common, and those that stand by themselves."""

from __future__ import annotations

from typing import Literal

import msgspec

#: What a run says of an allow rule. `not compared`: nothing that it could be about was, so that nobody can tell.
RuleState = Literal["in use", "expired", "matches nothing", "now reproducible", "not compared"]


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """A part of the report: immutable, built by keyword, equal by value."""


class LedgerUse(Part, frozen=True, kw_only=True):
    """What earlier runs have saved this one: of `compared` derivations, `verified` were not built again, because enough
    builds agree, of which the `oldest` that counts was started then (ISO 8601), on so many `machines`; to build them
    again would have taken `seconds`, as far as that is known. `rebuilt` derivations were built again."""

    compared: int
    verified: int
    rebuilt: int
    machines: int
    oldest: str | None = None
    seconds: float | None = None


class VerificationCost(Part, frozen=True, kw_only=True):
    """What a check would have to build again, and what earlier runs save it, as `LedgerUse` has it. To build the
    `rebuilt` derivations again takes `cost` seconds, if they take as long as last time, without those of which nothing
    is known: so many are `untimed`. Builds that run at once take less."""

    ledger: LedgerUse
    cost: float
    untimed: int


class RuleUse(Part, frozen=True, kw_only=True):
    """A rule that allows divergences, as it stands in line `line` of the configuration `file`: for what has this `name`
    (a derivation's, an attribute's, or a pattern), until the end of this day (ISO, UTC), in this output only, of this
    cause only. It matched so many derivations, `examples` of which are named, and is what `allowed` of them diverge
    by; had it not expired, in that state."""

    name: str
    reason: str
    until: str | None = None
    output: str | None = None
    cause: str | None = None
    file: str
    line: int
    state: RuleState
    matched: int = 0
    allowed: int = 0
    examples: tuple[str, ...] = ()


class VerifiedUse(Part, frozen=True, kw_only=True):
    """What the verified cache holds after a run: so many `paths`, in archives of `bytes`. `added` are those that it did
    not have before, or had with other content, `removed` those that it had. For `left_out` it has no room."""

    paths: int
    bytes: int
    added: int = 0
    removed: int = 0
    left_out: int = 0


class OnBase(Part, frozen=True, kw_only=True):
    """Whether the base has a divergence too. `standing` is `old` when it has, `new` when it has not, and `unknown` when
    nobody can tell. `drv_path` is what stands there in the derivation's place; null when there is nothing, or when that
    is not known. `because` says how it is known, or why it is not."""

    standing: Literal["new", "old", "unknown"]
    drv_path: str | None
    because: str
