"""What goes on a command line: not too much, and no options but ours."""

from __future__ import annotations

import os
import resource
import subprocess
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nix_repro.nix.arguments import LEAST, batches, room, with_operands


@given(st.lists(st.text()), st.integers(1, 200))
def test_nothing_is_lost_or_moved_between_batches(words: list[str], space: int) -> None:
    found = list(batches(words, space))
    assert [word for batch in found for word in batch] == words
    assert all(found)
    for batch in found:
        assert len(batch) == 1 or sum(len(word.encode()) + 9 for word in batch) <= space


def test_no_batch_for_nothing() -> None:
    assert list(batches([], 100)) == []


@pytest.fixture(params=[None, 1 << 20])
def stack(request: pytest.FixtureRequest) -> Iterator[None]:
    """As it is, and so small that a quarter of it holds 256 KiB of arguments."""
    before = resource.getrlimit(resource.RLIMIT_STACK)
    resource.setrlimit(resource.RLIMIT_STACK, (request.param or before[0], before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_STACK, before)


@pytest.mark.usefixtures("stack")
@pytest.mark.parametrize("longest", [1, 60, 255])
def test_a_batch_is_what_the_system_takes(longest: int) -> None:
    env = {"PATH": os.environ["PATH"], "LARGE": "x" * 100_000}
    words = ["x" * longest] * ((3 << 20) // (longest + 9))
    for batch in batches(words, room(env)):
        assert subprocess.run(["true", *batch], env=env, check=True).returncode == 0
    with pytest.raises(OSError, match="too long"):
        subprocess.run(["true", *words], env=env, check=False)


def test_there_is_room_for_something_whatever_the_environment() -> None:
    assert room({"LARGE": "x" * (8 << 20)}) == LEAST


@given(st.lists(st.text()))
def test_nothing_behind_the_dashes_looks_like_an_option(words: list[str]) -> None:
    if any(word.startswith("-") for word in words):
        with pytest.raises(ValueError, match="looks like an option"):
            with_operands(["--a", "b"], words)
    else:
        assert with_operands(["--a", "b"], words) == (["--a", "b", "--", *words] if words else ["--a", "b"])
