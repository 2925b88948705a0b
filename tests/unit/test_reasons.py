"""Reasons are values, and found again by the text that the report has."""

from __future__ import annotations

import pytest

from nix_repro import reasons
from nix_repro.reasons import (
    CANCELLED,
    DEPENDENCY_FAILED,
    FIRST_OUTPUT_ONLY,
    FIXED_OUTPUT,
    IMPURE,
    IN_USE,
    NOT_NAMED,
    PATH_REWRITING,
    UNCHANGED,
    UNREACHABLE,
    UNSUPPORTED,
    UPSTREAM,
    WITHOUT_A_WORD,
    Reason,
    recall,
    said,
)

DECLARED = {name: value for name, value in vars(reasons).items() if isinstance(value, Reason)}


def test_no_two_reasons_have_the_same_text() -> None:
    assert len({reason.text for reason in DECLARED.values()}) == len(DECLARED)


@pytest.mark.parametrize("name", DECLARED)
def test_a_declared_reason_is_found_again_by_its_text(name: str) -> None:
    assert recall(DECLARED[name].text) is DECLARED[name]


def test_few_reasons_leave_nothing_open() -> None:
    """Each lets a derivation pass unverified, so this list grows by decision only."""
    assert {reason for reason in DECLARED.values() if reason.settled} == {FIXED_OUTPUT, IMPURE, UPSTREAM, UNCHANGED}


def test_few_reasons_are_questions_and_no_failure_of_the_check() -> None:
    """Each lets a run pass inconclusively, so this list grows by decision only."""
    assert {reason for reason in DECLARED.values() if reason.question} == {
        NOT_NAMED,
        UNREACHABLE,
        DEPENDENCY_FAILED,
        CANCELLED,
        UNSUPPORTED,
        IN_USE,
        FIRST_OUTPUT_ONLY,
    }


def test_a_reason_that_explains_little_says_what_to_do() -> None:
    assert "sandbox = true" in (PATH_REWRITING.hint or "")


@pytest.mark.parametrize("text", ["", None, "a part of fixed-output", "Fixed-output", "fixed-output ", "no such thing"])
def test_any_other_text_is_a_failure_and_without_a_hint(text: str | None) -> None:
    assert recall(text) == Reason(text or "")
    assert not recall(text).settled
    assert recall(text).failure


def test_the_words_of_nix_are_taken_as_they_are() -> None:
    assert said("getting status of '/nix/store/x': No such file") == Reason(
        "getting status of '/nix/store/x': No such file"
    )


def test_that_nix_said_nothing_is_a_reason_too() -> None:
    assert said("") is WITHOUT_A_WORD


@pytest.mark.parametrize("reason", DECLARED.values(), ids=list(DECLARED))
def test_nobody_settles_or_opens_a_question_by_saying_so(reason: Reason) -> None:
    """A builder can speak in Nix's name, and a report has the text only."""
    words = said(reason.text)
    assert words.text.endswith(reason.text)
    assert not words.settled
    assert words.failure
    assert not recall(words.text).settled
    assert recall(words.text).failure
