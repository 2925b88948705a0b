"""One maker of a side: a run's own builds and a stored report's come to the same."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import pytest

from nix_repro.build.variations import BUILD_PATH, CLOCK_SHIFTED, CORES, ZONE, Machine, on_machine
from nix_repro.explain.context import Side
from nix_repro.explain.surroundings import at, here, surroundings, under

SIDE = Side(window=(100.0, 101.0), cores=4, cpus=4, build_dir="/build", kernel="6.1", host="localhost")


def test_a_sandbox_hides_the_host_and_moves_the_build() -> None:
    inside = surroundings({"nix sandbox": True, "nix sandbox-build-dir": "/build2"}, host="builder-7")
    assert (inside.host, inside.build_dir) == ("localhost", "/build2")
    assert surroundings({"nix sandbox": True}).build_dir == "/build", "as reports say that are older than the setting"
    outside = surroundings({"nix sandbox": False, "nix sandbox-build-dir": "/build2"}, host="builder-7")
    assert (outside.host, outside.build_dir) == ("builder-7", None)


@pytest.mark.parametrize(("cores", "known"), [(4, 4), (0, 8), (None, 8), (True, 8)])
def test_no_limit_means_all_processors(cores: object, known: int) -> None:
    assert surroundings({"cpus": 8, "nix cores": cores}).cores == known


def test_what_a_stranger_s_report_says_is_taken_only_for_what_it_can_be() -> None:
    side = surroundings({"cpus": "many", "kernel": 6, "nix sandbox": "yes", "nix sandbox-build-dir": 1})
    assert (side.cpus, side.cores, side.kernel, side.build_dir) == (None, None, None, None)


def test_this_machine_is_described_as_its_report_describes_it() -> None:
    settings = {"sandbox": True, "sandbox-build-dir": "/build", "cores": 3}
    own = here(settings, None)
    assert (own.kernel, own.cpus, own.cores, own.build_dir) == (platform.release(), os.cpu_count(), 3, "/build")
    assert here(settings, 1).cores == 1
    assert here(settings | {"sandbox": "relaxed"}, None).host == platform.node()


def test_a_window_is_as_wide_as_it_is_known() -> None:
    side = surroundings({})
    assert at(side, 10.0, 2.5).window == (10.0, 12.5)
    assert at(side, 10.0, None, resolution=1.0).window == (9.0, 11.0)


def test_a_side_is_described_as_the_condition_made_it() -> None:
    assert under(CLOCK_SHIFTED, SIDE).window == (100.0 + 400 * 86400, 101.0 + 400 * 86400)
    assert under(BUILD_PATH, SIDE).build_dir == "/other"
    one = under(on_machine(CORES, Machine(cores=4), Path()), SIDE)
    assert (one.cores, one.cpus) == (1, 1)
    more = under(on_machine(CORES, Machine(cores=1), Path()), SIDE)
    assert (more.cores, more.cpus) == (2, 4)


def test_what_a_condition_leaves_alone_stays_and_what_is_not_known_is_not_made_up() -> None:
    assert under(ZONE, SIDE) == SIDE
    assert under(CLOCK_SHIFTED, Side()) == Side()
