from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, is_hypothesis_test, settings

from nix_repro.files import private_directory

# How long an example takes says nothing on a machine that has other work.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marked as what they are, so that `-m "not property and not size"` is quick."""
    for item in items:
        if isinstance(item, pytest.Function) and is_hypothesis_test(item.obj):
            item.add_marker("property")


@pytest.fixture
def deep_room() -> Iterator[Path]:
    """A directory for trees that are deeper than pytest's own cleaning up recurses."""
    with private_directory() as directory:
        yield directory
