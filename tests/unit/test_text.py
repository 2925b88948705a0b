"""Words for people."""

from __future__ import annotations

import pytest

from nix_repro.text import ago, last_error


def test_the_last_error_is_what_went_wrong() -> None:
    said = (
        ".#x: evaluation failed\nerror:\n  … while evaluating\n\n  error: undefined variable 'oops'\n  at flake.nix:1:1"
    )
    assert last_error(said) == "undefined variable 'oops'"
    assert last_error("no such thing") == "no such thing"


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "less than an hour ago"),
        (-5, "less than an hour ago"),
        (-90, "in the future"),
        (3600, "1 hour ago"),
        (86399, "23 hours ago"),
        (86400, "1 day ago"),
        (12.9 * 86400, "12 days ago"),
    ],
)
def test_how_long_ago(seconds: float, said: str) -> None:
    assert ago(seconds) == said
