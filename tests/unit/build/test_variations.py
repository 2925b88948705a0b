"""One table says what can be held different; whoever needs a part of it goes by the table."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

from nix_repro.build.rebuild import shadow_helper
from nix_repro.build.variations import (
    ALL,
    BUILD_PATH,
    CLOCK_FROZEN,
    CLOCK_SHIFTED,
    CORES,
    DEFAULT,
    DIRECTORY_ORDER,
    FEWER_PROCESSORS,
    FUTURE,
    KERNEL,
    MORE_CORES,
    NAMED,
    NICE,
    ONE_CPU,
    PLACEBOS,
    TABLE,
    TIME,
    TIME_GAP,
    ZONE,
    Condition,
    Machine,
    Need,
    at_once,
    files,
    on_machine,
)
from nix_repro.explain.experiments.inquiry import HOLDS, OTHERS, VARIES

#: Conditions that leave no trace but their effect: another number with as many digits, another name of the same length;
#: and one that has no placebo, because nothing in memory lists a directory as a disk does.
WITHOUT = {c.name for c in (CORES, MORE_CORES, FEWER_PROCESSORS, NICE, BUILD_PATH, DIRECTORY_ORDER)}
HERE = Machine(cores=4, libfaketime=Path("/lib/faketime/libfaketime.so.1"))
DIRECTORY = Path("/run/d")


def test_the_helper_knows_every_word_of_the_table_and_no_other() -> None:
    """It is started by its path, as root, and takes nothing of ours but one list."""
    assert {word for row in (*TABLE, *PLACEBOS.values()) for word in row.under} == shadow_helper._UNDER.keys()


def test_every_condition_is_experimented_with() -> None:
    assert {experiment.condition for experiment in (*HOLDS, *VARIES, *OTHERS)} == set(TABLE)
    assert len({row.name for row in (*TABLE, *PLACEBOS.values(), TIME)}) == len(TABLE) + len(PLACEBOS) + 1


def test_the_time_is_held_different_by_nothing_but_waiting() -> None:
    assert Condition("time", TIME.what) == TIME
    assert TIME.what == f"at least {TIME_GAP:g} s between a build and its rebuild"


@pytest.mark.parametrize("need", get_args(Need))
def test_what_a_machine_lacks_is_said_of_what_needs_it_only(need: Need) -> None:
    lacking = Machine(cores=1, lacks={need: "why"})
    assert {c.name for c in TABLE if lacking.lacking(c)} == {c.name for c in TABLE if need in c.needs} != set()
    assert {lacking.lacking(c) for c in TABLE} == {"why", None}


def test_of_several_things_that_are_lacking_the_first_need_is_named() -> None:
    machine = Machine(cores=1, lacks={"libfaketime": "no library", "sandbox": "no sandbox"})
    assert machine.lacking(CLOCK_FROZEN) == "no sandbox"


@pytest.mark.parametrize("condition", [DIRECTORY_ORDER, KERNEL, ONE_CPU, BUILD_PATH, TIME], ids=lambda c: c.name)
def test_most_are_the_same_on_every_machine(condition: Condition) -> None:
    assert on_machine(condition, HERE, DIRECTORY) == condition
    assert files(condition, HERE, DIRECTORY) == {}


def test_another_number_of_cores_is_one_or_one_more() -> None:
    fewer, more = (on_machine(CORES, Machine(cores=cores), DIRECTORY) for cores in (4, 1))
    assert (fewer.args, fewer.under, fewer.cores, fewer.cpus) == (ONE_CPU.args, ONE_CPU.under, 1, 1)
    assert (more.args, more.under, more.cores, more.cpus) == (("--cores", "2"), (), 2, None)
    assert {fewer.name, more.name} == {"cores"}
    assert {fewer.what, more.what} == {"another number of cores"}


def test_another_build_directory_is_the_one_that_a_build_sees() -> None:
    assert BUILD_PATH.options == (("sandbox-build-dir", BUILD_PATH.build_dir),)


def test_the_zone_is_shown_in_the_sandbox() -> None:
    options = on_machine(ZONE, HERE, DIRECTORY).options
    assert options == (("extra-sandbox-paths", "/etc/localtime=/usr/share/zoneinfo/Asia/Tokyo"),)


def test_a_placebo_for_whatever_leaves_traces() -> None:
    assert PLACEBOS.keys() == {condition.name for condition in TABLE} - WITHOUT


@pytest.mark.parametrize("condition", TABLE, ids=lambda c: c.name)
def test_a_placebo_is_the_same_means_without_the_effect(condition: Condition) -> None:
    if condition.name in WITHOUT:
        return
    placebo = PLACEBOS[condition.name]
    assert (placebo.clock_shift, placebo.cpus, placebo.build_dir) == (0, None, None)
    assert placebo.needs == condition.needs
    shown, also = (on_machine(row, HERE, DIRECTORY).options for row in (condition, placebo))
    places = [[word.split("=")[0] for _, value in options for word in value.split()] for options in (shown, also)]
    assert places[0] == places[1]
    written, as_well = files(condition, HERE, DIRECTORY), files(placebo, HERE, DIRECTORY)
    assert written.keys() == as_well.keys()
    assert {path: len(text) for path, text in written.items()} == {path: len(text) for path, text in as_well.items()}
    assert written != as_well or not written


@pytest.mark.parametrize(("cores", "other"), [(1, 2), (2, 1), (9, 1), (10, 11), (11, 10), (64, 10), (100, 101)])
def test_another_number_of_cores_has_as_many_digits(cores: int, other: int) -> None:
    condition = on_machine(CORES, Machine(cores=cores), DIRECTORY)
    assert (condition.cores, condition.args[:2]) == (other, ("--cores", str(other)))
    assert condition.under == (("one-cpu",) if other < cores else ())


@pytest.mark.parametrize("usual", ["/build", "/other", "/b", "/tmp/nix/build", "/o"])
def test_another_build_directory_has_as_long_a_name(usual: str) -> None:
    condition = on_machine(BUILD_PATH, Machine(cores=1, build_dir=usual), DIRECTORY)
    assert condition.build_dir is not None
    assert condition.build_dir != usual
    assert len(condition.build_dir) == len(usual)
    assert condition.options == (("sandbox-build-dir", condition.build_dir),)


def test_the_build_directory_is_moved_to_the_other_kind_of_place() -> None:
    disk, memory = (on_machine(DIRECTORY_ORDER, Machine(1, build_on=kind), DIRECTORY) for kind in ("disk", "memory"))
    assert (disk.build_on, memory.build_on) == ("memory", "disk")
    assert disk.name == memory.name


@pytest.mark.parametrize(
    ("condition", "library"),
    [(CLOCK_FROZEN, "/lib/faketime"), (CLOCK_SHIFTED, "/run/d/library")],
    ids=["frozen", "shifted"],
)
def test_the_clock_needs_files_and_is_told_where_they_are(condition: Condition, library: str) -> None:
    ((name, paths),) = on_machine(condition, HERE, DIRECTORY).options
    assert name == "extra-sandbox-paths"
    shown = dict(path.split("=") for path in paths.split())
    written = files(condition, HERE, DIRECTORY)
    assert shown["/nix-repro-clock"] == library
    assert written[Path(shown["/etc/ld.so.preload"])] == "/nix-repro-clock/libfaketime.so.1\n"
    assert written[Path(shown["/etc/faketimerc"])] == f"{condition.clock}\n"
    assert {path.parent for path in written} == {DIRECTORY}


def test_a_shifted_clock_says_by_how_much() -> None:
    assert (CLOCK_SHIFTED.clock, CLOCK_SHIFTED.clock_shift) == ("+400d", 400 * 24 * 60 * 60)
    assert "400 days" in CLOCK_SHIFTED.what


def test_several_at_once_have_the_means_of_each() -> None:
    machine = Machine(cores=4, processors=4, libfaketime=Path("/lib/faketime/libfaketime.so.1"))
    conditions = [on_machine(NAMED[name], machine, DIRECTORY) for name in ALL]
    together = at_once(conditions)
    assert together.names == together.parts == ALL
    assert together.under == ("nice", "fewer-processors", "other-kernel"), "not one after the other, on one processor"
    assert together.args == ("--cores", "1")
    assert (together.cores, together.cpus, together.build_dir, together.build_on) == (1, 3, "/other", "memory")
    assert together.clock_shift == CLOCK_SHIFTED.clock_shift
    options = dict(together.options)
    assert set(options) == {"extra-sandbox-paths", "sandbox-build-dir"}
    assert [word.split("=")[0] for word in options["extra-sandbox-paths"].split()] == [
        "/etc/ld.so.preload",
        "/etc/faketimerc",
        "/nix-repro-clock",
        "/etc/localtime",
    ]
    assert files(together, machine, DIRECTORY)[DIRECTORY / "clock"] == "+400d\n"


def test_none_at_once_is_the_time_alone() -> None:
    assert at_once([]) == TIME


def test_what_is_free_changes_no_path_no_clock_and_slows_nothing_down() -> None:
    for name in DEFAULT:
        row = on_machine(NAMED[name], HERE, DIRECTORY)
        assert not any((row.options, row.clock, row.zone, row.build_on, row.build_dir))
        assert row.cores is None or row.cores > HERE.cores


def test_much_later_is_past_what_32_bits_hold() -> None:
    assert FUTURE.clock_shift + 1_795_000_000 > 2**31
