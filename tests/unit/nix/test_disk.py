"""Room on the disks: measured where builds write."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest
from pytest_mock import MockerFixture

from nix_repro.nix.disk import BYTES, any_full, building_places

MIB = 1024**2
Statvfs = Callable[..., None]


@pytest.fixture
def disk(mocker: MockerFixture) -> Statvfs:
    """Sets what every file system says of itself."""

    def says(*, size: int, free: int, files: int = 10**6, free_files: int = 10**6) -> None:
        found = os.statvfs_result((4096, 4096, size // 4096, free // 4096, free // 4096, files, 0, free_files, 0, 255))
        mocker.patch("os.statvfs", return_value=found)

    return says


@pytest.mark.parametrize(
    ("size", "free", "full"),
    [
        (24 * MIB, 0, True),
        (24 * MIB, 20 * MIB, False),
        (24 * MIB, MIB, False),
        (14_000 * MIB, BYTES - MIB, True),
        (14_000 * MIB, 1000 * MIB, False),
        (0, 0, False),
    ],
)
def test_a_disk_is_full_when_hardly_anything_of_it_is_free(disk: Statvfs, size: int, free: int, full: bool) -> None:
    disk(size=size, free=free)
    assert any_full(["/nix/store"]) == full


@pytest.mark.parametrize(("files", "free", "full"), [(10_000, 100, True), (10_000, 5_000, False), (0, 0, False)])
def test_files_run_out_too(disk: Statvfs, files: int, free: int, full: bool) -> None:
    disk(size=1000 * MIB, free=900 * MIB, files=files, free_files=free)
    assert any_full(["/nix/store"]) == full


def test_what_is_not_there_is_not_full() -> None:
    assert not any_full(["/no/such/place", ""])


def nix(mocker: MockerFixture, **env: str) -> Any:
    found = mocker.Mock(env=env)
    found.store_dir.return_value = "/nix/store"
    found.settings.return_value = {"build-dir": "/fast"}
    return found


def test_builds_write_to_the_store_and_to_where_they_work(mocker: MockerFixture) -> None:
    places = building_places(nix(mocker, TMPDIR="/scratch"))
    assert {"/nix/store", "/nix/var/nix", "/nix/var/nix/builds", "/nix/var/nix-repro", "/fast", "/scratch"} <= {*places}


@pytest.mark.parametrize(
    ("url", "place"),
    [("local?root=/nix/other", "/nix/other"), ("/nix/other", "/nix/other"), ("ssh-ng://h", None), ("shadow", None)],
)
def test_another_store_s_directory_is_one_of_them(mocker: MockerFixture, url: str, place: str | None) -> None:
    assert {*building_places(nix(mocker), url)} - {*building_places(nix(mocker))} == ({place} if place else set())
