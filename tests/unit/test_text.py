"""Words for people."""

from __future__ import annotations

from nix_repro.text import last_error


def test_the_last_error_is_what_went_wrong() -> None:
    said = (
        ".#x: evaluation failed\nerror:\n  … while evaluating\n\n  error: undefined variable 'oops'\n  at flake.nix:1:1"
    )
    assert last_error(said) == "undefined variable 'oops'"
    assert last_error("no such thing") == "no such thing"
