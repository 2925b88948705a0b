"""Where builds take place."""

from __future__ import annotations

import pytest
from pytest_mock import MockerFixture

from nix_repro.nix.command import Nix
from nix_repro.nix.machine import this_machine
from nix_repro.nix.series import release

RUN = {"GITHUB_SERVER_URL": "https://github.example", "GITHUB_REPOSITORY": "a/b"}


@pytest.mark.parametrize(("environment", "machines"), [("github-hosted", 2), ("self-hosted", 1)])
def test_a_runner_that_is_kept_is_one_machine(mocker: MockerFixture, environment: str, machines: int) -> None:
    nix = mocker.create_autospec(Nix, instance=True)
    nix.settings.return_value = {}
    nix.release.return_value = release("nix (Nix) 2.26.3")
    runner = {**RUN, "RUNNER_ENVIRONMENT": environment}
    one, other = (this_machine(nix, runner | {"GITHUB_RUN_ID": run}) for run in "12")
    assert one.identity == "https://github.example/a/b/actions/runs/1/attempts/1"
    assert one.identity != other.identity
    assert len({one.machine, other.machine}) == machines
