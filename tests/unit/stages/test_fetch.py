"""What is said of a hash that is stale: where it stands, however it is written, and the line that mends it."""

from __future__ import annotations

import pytest

from nix_repro.nix.hashes import spellings
from nix_repro.nix.log.why import mismatch
from nix_repro.stages.fetch import finding

OLD, NEW = (f"sha256-{letter * 42}A=" for letter in "BC")


@pytest.mark.parametrize("way", range(4))
def test_the_line_keeps_the_way_in_which_the_hash_is_written(way: int) -> None:
    old, new = spellings(OLD)[way], spellings(NEW)[way]
    files = {"flake.nix": "{ }\n", "nix/source.nix": f'{{\n  # {OLD[:20]}\n  hash = "{old}"; # of the release\n}}\n'}
    found = finding("out", OLD, NEW, files)
    assert (found.cause, found.confidence, found.a, found.b) == ("stale-hash", "proved", OLD, NEW)
    assert "nix/source.nix:3" in found.fix
    assert found.snippet == f'hash = "{new}"; # of the release'


def test_a_hash_that_stands_nowhere_is_said_itself() -> None:
    found = finding("out", OLD, NEW, {"flake.nix": "{ }\n"})
    assert found.snippet is None
    assert NEW in found.fix


def test_both_hashes_are_read_off_the_reason() -> None:
    assert mismatch(f"hash mismatch: specified {OLD}, got {NEW}") == (OLD, NEW)
    assert mismatch("the builder failed with exit code 1") is None
    assert mismatch(f"hash mismatch: specified {OLD}") is None
