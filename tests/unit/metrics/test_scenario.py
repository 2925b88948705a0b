"""Which row of the targets table applies."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nix_repro.metrics.scenario import scenario
from nix_repro.report import ChangeClass, ScenarioName


@given(
    st.booleans(),
    st.sampled_from([None, "full", "partial", "none"]),
    st.dictionaries(st.sampled_from(["magic", "cachix"]), st.integers(0, 50)),
    st.integers(0, 50),
    st.integers(0, 100),
)
def test_scenario_by_its_definition(
    ci: bool, change: ChangeClass | None, served: dict[str, int], present: int, needed: int
) -> None:
    found = scenario(ci=ci, change=change, served=served, present=present, needed=needed)
    assert found.because
    if ci:
        assert (found.name == "cold") == (change == "full" or not any(served.values()))
        assert found.name in ("cold", "warm")
    else:
        assert found.name in ("first-time", "cached")


def test_scenario_can_be_chosen() -> None:
    found = scenario(ci=True, change="full", served={}, present=0, needed=9, chosen="warm")
    assert (found.name, found.because) == ("warm", "chosen in the configuration")
    assert scenario(ci=False, change=None, served={}, present=0, needed=0).name == "first-time"


@pytest.mark.parametrize(
    ("present", "served", "needed", "name"),
    [(1, {"Cachix mine": 1}, 4, "cached"), (1, {}, 3, "first-time"), (2, {}, 3, "cached"), (0, {}, 0, "first-time")],
)
def test_outside_ci_half_of_what_is_needed_decides(
    present: int, served: dict[str, int], needed: int, name: ScenarioName
) -> None:
    found = scenario(ci=False, change="full", served=served, present=present, needed=needed)
    here = present + sum(served.values())
    assert found.name == name
    assert found.because == f"{here} of {needed} needed paths were in the local store or a project cache"


def test_in_ci_the_reason_names_the_caches_that_served() -> None:
    found = scenario(ci=True, change="partial", served={"Cachix mine": 3, "S3 bucket b": 0}, present=9, needed=9)
    assert (found.name, found.because) == ("warm", "paths from project caches: Cachix mine 3")
    assert scenario(ci=True, change=None, served={}, present=9, needed=9).because == (
        "no project cache served anything"
    )
