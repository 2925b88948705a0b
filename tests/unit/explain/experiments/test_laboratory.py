"""What this machine has for experiments."""

from __future__ import annotations

from pathlib import Path

import pytest
from pytest_mock import MockerFixture

from nix_repro.build.variations import CLOCK_FROZEN, DIRECTORY_ORDER, TABLE, Kind
from nix_repro.explain.experiments.laboratory import this_machine


@pytest.mark.parametrize("sandbox", ["true", True])
def test_a_machine_that_has_everything(mocker: MockerFixture, sandbox: str | bool) -> None:
    mocker.patch.object(Path, "exists", return_value=True)
    machine = this_machine({"sandbox": sandbox}, 3)
    assert (machine.cores, machine.lacks) == (3, {})
    assert machine.libfaketime is not None
    assert not any(map(machine.lacking, TABLE))


@pytest.mark.parametrize("sandbox", ["false", "relaxed", None])
def test_a_machine_that_has_nothing(mocker: MockerFixture, sandbox: str | None) -> None:
    mocker.patch.object(Path, "exists", return_value=False)
    machine = this_machine({"sandbox": sandbox}, 1)
    assert machine.libfaketime is None
    assert machine.lacks == {
        "sandbox": "it needs Nix's sandbox, which is off",
        "libfaketime": "libfaketime is not installed",
        "zone": "there is no /usr/share/zoneinfo/Asia/Tokyo, /usr/share/zoneinfo/Etc/UTC",
    }
    assert machine.lacking(CLOCK_FROZEN) == "it needs Nix's sandbox, which is off"


@pytest.mark.parametrize(
    ("build_on", "room", "lacking"),
    [
        ("disk", "disk", None),
        ("disk", "memory", None),
        ("memory", "disk", None),
        ("memory", "memory", "not applicable: there is no disk to build on"),
    ],
)
def test_the_order_of_directories_needs_both_kinds_of_places(build_on: Kind, room: Kind, lacking: str | None) -> None:
    assert this_machine({}, 1, build_on, room).lacking(DIRECTORY_ORDER) == lacking
