from __future__ import annotations

import pytest

from nixes import SERIES


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--nix",
        action="append",
        choices=sorted(SERIES),
        metavar="VERSION",
        help=(
            "run the tests on real Nix with this series only (2.8, 2.26 or 2.34; may be given several times). "
            "Default: all three."
        ),
    )
