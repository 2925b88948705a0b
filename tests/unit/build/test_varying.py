"""Which variations this machine and its rebuilder can give to a rebuild, and to which round."""

from __future__ import annotations

from pathlib import Path

import pytest
from pytest_mock import MockerFixture

from kiln import Kiln
from nix_repro.build.variations import (
    ALL,
    CLOCK_FROZEN,
    DEFAULT,
    DIRECTORY_ORDER,
    TABLE,
    TIME,
    Kind,
    Machine,
    on_machine,
)
from nix_repro.build.varying import this_machine, varied, write_files


@pytest.mark.parametrize("sandbox", ["true", True])
def test_a_machine_that_has_everything(mocker: MockerFixture, sandbox: str | bool) -> None:
    mocker.patch.object(Path, "exists", return_value=True)
    mocker.patch.object(Path, "read_bytes", return_value=b"getenv\0NO_FAKE_STAT\0FAKE_UTIME\0")
    mocker.patch("os.sched_getaffinity", return_value={0, 1})
    machine = this_machine({"sandbox": sandbox}, 3)
    assert (machine.cores, machine.lacks) == (3, {})
    assert machine.libfaketime is not None
    assert not any(map(machine.lacking, TABLE))


@pytest.mark.parametrize("sandbox", ["false", "relaxed", None])
def test_a_machine_that_has_nothing(mocker: MockerFixture, sandbox: str | None) -> None:
    mocker.patch.object(Path, "exists", return_value=False)
    mocker.patch("os.sched_getaffinity", return_value={7})
    machine = this_machine({"sandbox": sandbox}, 1)
    assert machine.libfaketime is None
    assert machine.lacks == {
        "sandbox": "it needs Nix's sandbox, which is off",
        "libfaketime": "libfaketime is not installed",
        "file-times": "this libfaketime changes the times of files as well",
        "zone": "there is no /usr/share/zoneinfo/Asia/Tokyo, /usr/share/zoneinfo/Etc/UTC",
        "processors": "not applicable: there is one processor",
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


def test_who_sets_the_cores_gets_no_more(kiln: Kiln, tmp_path: Path) -> None:
    machine = this_machine({}, 2, limited=True)
    found = varied(DEFAULT, 2, machine, kiln, tmp_path)
    assert found.of(2).parts == ("nice",)
    assert [said.reason for said in found.said if not said.applied] == [
        "not applicable: how many cores there are to use was set"
    ]


EVERYTHING = Machine(cores=4, processors=4, libfaketime=Path("/lib/libfaketime.so.1"))


@pytest.fixture
def kiln(tmp_path: Path) -> Kiln:
    return Kiln(tmp_path, {})


def test_the_one_rebuild_has_all_that_is_asked_for(kiln: Kiln, tmp_path: Path) -> None:
    found = varied(ALL, 2, EVERYTHING, kiln, tmp_path)
    assert found.of(2).parts == ALL
    assert found.applied == list(ALL)
    assert [(one.name, one.applied) for one in found.said] == [(name, True) for name in ("time", *ALL)]


def test_several_rebuilds_share_them(kiln: Kiln, tmp_path: Path) -> None:
    found = varied(ALL, 4, EVERYTHING, kiln, tmp_path)
    turns = [found.of(number).names for number in (2, 3, 4)]
    assert sorted(name for names in turns for name in names) == sorted(ALL)
    assert {len(names) for names in turns} <= {2, 3}


@pytest.mark.parametrize("asked", [("clock-shifted", "future"), ("cores", "more-cores"), ("future", "clock-shifted")])
def test_two_of_a_kind_need_two_rebuilds(kiln: Kiln, tmp_path: Path, asked: tuple[str, str]) -> None:
    one = varied(asked, 2, EVERYTHING, kiln, tmp_path)
    assert one.of(2).parts == asked[:1]
    assert [(said.applied, said.reason) for said in one.said][2:] == [
        (False, "another variation of the same is in its way: more rounds have room for it")
    ]
    two = varied(asked, 3, EVERYTHING, kiln, tmp_path)
    assert (two.of(2).parts, two.of(3).parts) == (asked[:1], asked[1:])


def test_what_cannot_be_had_is_said_and_not_applied(kiln: Kiln, tmp_path: Path) -> None:
    kiln.varies = frozenset({"nice", "clock-shifted"})
    machine = Machine(cores=1, lacks={"libfaketime": "libfaketime is not installed"})
    found = varied(("nice", "clock-shifted", "kernel"), 2, machine, kiln, tmp_path)
    assert found.of(2).parts == ("nice",)
    assert {said.name: said.reason for said in found.said if not said.applied} == {
        "clock-shifted": "libfaketime is not installed",
        "kernel": "the kiln rebuilder cannot build with another kernel release",
    }


@pytest.mark.parametrize("asked", [(), DEFAULT])
def test_a_rebuilder_that_varies_nothing_waits_all_the_same(kiln: Kiln, tmp_path: Path, asked: tuple[str, ...]) -> None:
    kiln.varies = frozenset()
    found = varied(asked, 3, EVERYTHING, kiln, tmp_path)
    assert (found.of(2), found.of(3), found.applied) == (TIME, TIME, [])
    assert [said.name for said in found.said if said.applied] == ["time"]


@pytest.mark.parametrize(("name", "left_alone"), [("clock-shifted", True), ("clock-frozen", False)])
def test_a_clock_that_is_ahead_leaves_the_times_of_files_alone(tmp_path: Path, name: str, left_alone: bool) -> None:
    library = tmp_path / "libfaketime.so.1"
    library.write_bytes(b"x\0NO_FAKE_STAT\0y")
    directory = tmp_path / "conditions"
    directory.mkdir()
    machine = Machine(cores=2, libfaketime=library)
    row = on_machine(next(row for row in TABLE if row.name == name), machine, directory)
    write_files(row, machine, directory)
    shown = dict(word.split("=") for word in dict(row.options)["extra-sandbox-paths"].split())
    where = Path(shown["/nix-repro-clock"])
    assert (where / library.name).read_bytes() == (
        b"x\0PATH\0" + bytes(8) + b"y" if left_alone else library.read_bytes()
    )
    assert Path(shown["/etc/ld.so.preload"]).read_text() == "/nix-repro-clock/libfaketime.so.1\n"
