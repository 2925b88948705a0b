"""Who may use a store while somebody else does."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from pytest_mock import MockerFixture

from nix_repro.errors import Interrupted
from nix_repro.nix.lock import INTERVAL, directory_of, locked


def refused() -> None:
    raise AssertionError("somebody else has it")


def hold(
    directory: Path, *, alone: bool, waiting: object = refused, pause: object = None
) -> AbstractContextManager[None]:
    return locked(directory, alone=alone, waiting=waiting, pause=pause)  # type: ignore[arg-type]


def test_those_who_change_nothing_hold_it_together(tmp_path: Path) -> None:
    with hold(tmp_path, alone=False), hold(tmp_path, alone=False):
        pass


@pytest.mark.parametrize(("first", "second"), [(True, True), (True, False), (False, True)])
def test_who_changes_something_is_alone(tmp_path: Path, first: bool, second: bool) -> None:
    with (
        hold(tmp_path, alone=first),
        pytest.raises(AssertionError, match="somebody else"),
        hold(tmp_path, alone=second),
    ):
        pass
    with hold(tmp_path, alone=second):
        pass


def test_waiting_is_said_once_and_ends_when_it_is_free(tmp_path: Path) -> None:
    told: list[str] = []
    paused: list[float] = []
    other = hold(tmp_path, alone=True)
    other.__enter__()

    def pause(seconds: float) -> None:
        paused.append(seconds)
        if len(paused) == 3:
            other.__exit__(None, None, None)

    with hold(tmp_path, alone=True, waiting=lambda: told.append("waiting"), pause=pause):
        assert (told, paused) == (["waiting"], [INTERVAL] * 3)


def test_a_signal_ends_the_waiting(tmp_path: Path) -> None:
    def pause(_: float) -> None:
        raise Interrupted(2)

    with hold(tmp_path, alone=True):
        with pytest.raises(Interrupted), hold(tmp_path, alone=True, waiting=lambda: None, pause=pause):
            pass
        with pytest.raises(AssertionError), hold(tmp_path, alone=False):
            pass


def test_what_knows_no_locks_is_not_waited_for(tmp_path: Path, mocker: MockerFixture) -> None:
    with hold(tmp_path / "none", alone=True), hold(tmp_path / "none", alone=True):
        pass
    (tmp_path / "file").touch()
    with hold(tmp_path / "file", alone=True):
        pass
    mocker.patch("fcntl.flock", side_effect=OSError(37, "No locks available"))
    with hold(tmp_path, alone=True), hold(tmp_path, alone=True):
        pass


@pytest.mark.parametrize(
    ("url", "directory"),
    [
        ("local?root=/x/y", "/x/y"),
        ("local?require-sigs=false&root=/a%20b", "/a b"),
        ("local://?root=/x", "/x"),
        ("/x/y", "/x/y"),
        ("/x?trusted=1", "/x"),
        ("local", None),
        ("auto", None),
        ("daemon", None),
        ("ssh-ng://host", None),
        ("ssh-ng://host?root=/x", None),
    ],
)
def test_where_another_store_of_this_machine_is(url: str, directory: str | None) -> None:
    found = directory_of(url)
    assert (str(found) if found else None) == directory
