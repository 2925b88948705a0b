from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nixes import SERIES, provide
from store import open_box

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nixes import Nix
    from store import NixBox


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Every test that wants a Nix runs once per series, or with those that it names."""
    if "installed_nix" in metafunc.fixturenames:
        named = metafunc.definition.get_closest_marker("series")
        wanted = metafunc.config.getoption("nix") or list(SERIES)
        series = [label for label in wanted if named is None or label in named.args]
        metafunc.parametrize("installed_nix", series, indirect=True, scope="session")


@pytest.fixture(scope="session")
def installed_nix(request: pytest.FixtureRequest) -> Nix:
    """A Nix of the series that this test is run with. One that cannot be had is an error."""
    return provide(request.param)


@pytest.fixture
def sandbox_nix(installed_nix: Nix) -> Iterator[NixBox]:
    """A box of the test's own, with an empty store."""
    with open_box(installed_nix) as box:
        yield box
