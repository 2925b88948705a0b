from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import reports
from github_page import Page, render_github
from nix_repro.report import DerivationReport, Hash, Output, Report


@pytest.fixture
def github() -> Callable[[str], Page]:
    return render_github


@pytest.fixture
def diverged() -> Report:
    """A run with everything in it: divergences, a failed build, overruns, caches, warnings."""
    return reports.read("diverged")


@pytest.fixture
def clean() -> Report:
    """A run in which nothing differs."""
    return reports.read("clean")


@pytest.fixture
def named() -> Callable[..., DerivationReport]:
    """A derivation with one output; keywords are fields of the report."""

    def make(name: str, **fields: Any) -> DerivationReport:
        a, b = ("sha256-" + char * 43 + "=" for char in "AB")
        verdict = fields.get("verdict", "reproducible")
        hashes = (
            Hash(nar_hash=a, source="built", origin="round 1"),
            Hash(nar_hash=b if verdict == "divergent" else a, source="rebuilt", origin="round 2"),
        )
        path = f"/nix/store/{'0' * 32}-{name}"
        output = Output(path=path, verdict=verdict, hashes=hashes)
        return DerivationReport(
            **{"drv_path": f"{path}.drv", "name": name, "verdict": verdict, "outputs": {"out": output}} | fields
        )

    return make
