"""Limits: what is left when something is taken, and that every cut is said once."""

from __future__ import annotations

import pytest

from nix_repro.explain.budget import Budget


def test_what_is_taken_is_gone() -> None:
    budget = Budget(differences=2, unpacked=10)
    assert [budget.one_difference() for _ in range(3)] == [True, True, False]
    assert [budget.unpack(size) for size in (6, 5, 4, 1)] == [True, False, True, False]
    assert budget.cut == [
        "there are more differences than are listed",
        "archives hold more than is unpacked for a comparison",
    ]


def test_time_runs_out(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    budget = Budget(seconds=5, started=1000.0)
    now = 1004.9
    assert not budget.expired()
    now = 1005.0
    assert budget.expired()
    assert budget.expired()
    assert budget.cut == ["the comparison was stopped after 5 s"]


def test_a_list_of_cuts_is_short() -> None:
    budget = Budget()
    for number in range(50):
        budget.say(f"{number} is left out")
    assert len(budget.cut) == 20
