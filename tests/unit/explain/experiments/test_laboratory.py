"""What a build under a condition saw, and what this machine has for experiments."""

from __future__ import annotations

from pathlib import Path

import pytest
from pytest_mock import MockerFixture

from nix_repro.build.variations import BUILD_PATH, CLOCK_FROZEN, CLOCK_SHIFTED, CORES, TABLE, ZONE, Machine, on_machine
from nix_repro.explain.context import Side
from nix_repro.explain.experiments.laboratory import seen_under, this_machine

SIDE = Side(window=(100.0, 101.0), cores=4, cpus=4, build_dir="/build", kernel="6.1", host="localhost")


def test_a_side_is_described_as_the_condition_made_it() -> None:
    assert seen_under(CLOCK_SHIFTED, SIDE).window == (100.0 + 400 * 86400, 101.0 + 400 * 86400)
    assert seen_under(BUILD_PATH, SIDE).build_dir == "/build-elsewhere"
    one = seen_under(on_machine(CORES, Machine(cores=4), Path()), SIDE)
    assert (one.cores, one.cpus) == (1, 1)
    more = seen_under(on_machine(CORES, Machine(cores=1), Path()), SIDE)
    assert (more.cores, more.cpus) == (2, 4)


def test_what_a_condition_leaves_alone_stays_and_what_is_not_known_is_not_made_up() -> None:
    assert seen_under(ZONE, SIDE) == SIDE
    assert seen_under(CLOCK_SHIFTED, Side()) == Side()


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
        "zone": "there is no /usr/share/zoneinfo/Asia/Tokyo",
    }
    assert machine.lacking(CLOCK_FROZEN) == "it needs Nix's sandbox, which is off"
