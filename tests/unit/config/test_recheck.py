"""What is built again although it was verified before."""

from __future__ import annotations

from pathlib import Path

import pytest

from nix_repro.config import layer, load, read_settings
from nix_repro.errors import UsageError


def test_no_file_of_the_checkout_names_a_ledger() -> None:
    with pytest.raises(UsageError, match=r"c\.yml:1: ledger: a flag or input only"):
        read_settings(b"ledger: ledger.db\n", "c.yml")
    assert load([layer({"ledger": "l.db"}, "--{}")]).ledger == Path("l.db")


def test_no_file_of_the_checkout_names_a_cache_that_is_believed() -> None:
    for key in (b"verified-cache", b"verified_cache"):
        with pytest.raises(UsageError, match=r"c\.yml:1: verified.cache: a flag or input only"):
            read_settings(key + b": kept\n", "c.yml")
    assert load([layer({"verified_cache": "kept"}, "--{}")]).verified_cache == Path("kept")


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("recheck: true", (True, None, 0.0)),
        ("recheck: false\nrecheck-older: 30d\n", (False, 30 * 86400, 0.0)),
        ("recheck-older: 12h\nsample: 5%\n", (False, 43200, 0.05)),
        ("sample: 0.5%", (False, None, 0.005)),
        ("sample: 100%", (False, None, 1.0)),
    ],
)
def test_what_may_stand_there(text: str, values: tuple[bool, int | None, float]) -> None:
    found = load([read_settings(text.encode(), "c.yml")])
    assert (found.recheck, found.recheck_older, found.sample) == values


def test_inputs_are_words() -> None:
    assert load([layer({"recheck": "true"}, "input {}")]).recheck
    assert not load([layer({"recheck": "false"}, "input {}")]).recheck


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("recheck: yes please", "true or false"),
        ("recheck: [true]", "true or false"),
        ("recheck: 1", "true or false"),
        ("recheck-older: old", "an age such as 30d"),
        ("recheck-older: -1d", "an age such as 30d"),
        ("sample: 5", "a share such as 5%"),
        ("sample: 101%", "a share such as 5%"),
    ],
)
def test_what_may_not(text: str, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        load([read_settings(text.encode(), "c.yml")])
