"""GitHub over real HTTP (tests/support/github_api.py), and what a runner tells a job."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from github_api import MERGE, PAYLOADS, GitHub, serve
from nix_repro.report import Report

ROOT = Path(__file__).parents[2]


@pytest.fixture
def github() -> Iterator[GitHub]:
    with serve() as running:
        yield running


@pytest.fixture
def environ(github: GitHub) -> Callable[..., dict[str, str]]:
    """A runner's environment for an event of tests/github/payloads."""

    def make(event: str, **more: str) -> dict[str, str]:
        return {
            "GITHUB_API_URL": github.url,
            "GITHUB_SERVER_URL": "https://github.example",
            "GITHUB_REPOSITORY": "acme/widgets",
            "GITHUB_SHA": MERGE,
            "GITHUB_RUN_ID": "30433642",
            "GITHUB_EVENT_NAME": event.removesuffix("_fork"),
            "GITHUB_EVENT_PATH": str(PAYLOADS / f"{event}.json"),
            **more,
        }

    return make


def _report(name: str) -> Report:
    return msgspec.json.decode((ROOT / "fixtures" / "reports" / f"{name}.json").read_bytes(), type=Report)


@pytest.fixture
def diverged() -> Report:
    return _report("diverged")


@pytest.fixture
def clean() -> Report:
    return _report("clean")
