"""What a user is to a store: as the store says, or else as the configuration does."""

from __future__ import annotations

import grp
import os
import pwd
from pathlib import Path
from types import SimpleNamespace

import pytest
from pytest_mock import MockerFixture

from nix_repro.nix.trust import configured, told, user_files


@pytest.mark.parametrize(
    ("info", "said"),
    [
        ('{"trusted":1,"url":"daemon","version":"2.26.3"}', True),
        ('{"trusted":false,"url":"daemon","version":"2.34.8"}', False),
        ('{"url":"https://cache.example.org"}', None),
        ('{"trusted":null}', None),
        ("[]", None),
        ("Store URL: daemon", None),
    ],
)
def test_a_store_says_so_or_not(info: str, said: bool | None) -> None:
    assert told(info) is said


@pytest.fixture
def somebody(mocker: MockerFixture, tmp_path: Path) -> str:
    """User 4711, who has a name and two groups, and a store that is not theirs."""
    mocker.patch.multiple(os, getuid=lambda: 4711, getgid=lambda: 4711, getgroups=lambda: [27], access=lambda *_: False)
    mocker.patch.object(pwd, "getpwuid", return_value=SimpleNamespace(pw_name="somebody"))
    groups = [SimpleNamespace(gr_name="sudo", gr_gid=27), SimpleNamespace(gr_name="wheel", gr_gid=10)]
    mocker.patch.object(grp, "getgrall", return_value=groups)
    return str(tmp_path)


@pytest.mark.parametrize(
    ("setting", "trusted"),
    [
        (["root"], False),
        (["*"], True),
        (["root", "somebody"], True),
        (["@sudo"], True),
        (["@wheel"], False),
        ([], False),
    ],
)
def test_users_and_groups_are_named_in_the_setting(somebody: str, setting: list[str], trusted: bool) -> None:
    assert configured(setting, somebody) is trusted


def test_who_has_no_name_is_a_number(somebody: str, mocker: MockerFixture) -> None:
    mocker.patch.object(pwd, "getpwuid", side_effect=KeyError)
    assert configured(["4711"], somebody)
    assert not configured(["somebody"], somebody)


def test_root_and_who_owns_the_store_need_no_trust(somebody: str, mocker: MockerFixture) -> None:
    mocker.patch.object(os, "access", return_value=True)
    assert configured([], somebody)
    mocker.patch.multiple(os, getuid=lambda: 0, access=lambda *_: False)
    assert configured([], somebody)


def test_a_users_own_files_are_where_nix_looks_for_them() -> None:
    assert user_files({"NIX_USER_CONF_FILES": "/a:/b", "HOME": "/h"}) == "/a:/b"
    assert user_files({"HOME": "/h"}) == "/h/.config/nix/nix.conf:/etc/xdg/nix/nix.conf"
    assert (
        user_files({"XDG_CONFIG_HOME": "/c", "XDG_CONFIG_DIRS": "/d:/e"})
        == "/c/nix/nix.conf:/d/nix/nix.conf:/e/nix/nix.conf"
    )
