"""What a check says."""

from __future__ import annotations

from typing import Literal

import msgspec

State = Literal["ok", "note", "problem"]


class Diagnosis(msgspec.Struct, frozen=True, kw_only=True):
    """One check: its name, how it stands, what was found, and what to do (null when there is nothing to do)."""

    check: str
    state: State
    found: str
    fix: str | None = None


def ok(check: str, found: str) -> Diagnosis:
    return Diagnosis(check=check, state="ok", found=found)


def note(check: str, found: str, fix: str) -> Diagnosis:
    return Diagnosis(check=check, state="note", found=found, fix=fix)


def problem(check: str, found: str, fix: str) -> Diagnosis:
    return Diagnosis(check=check, state="problem", found=found, fix=fix)
