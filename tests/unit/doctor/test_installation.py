"""Nix and its settings: what is in order, what is worth a word, and what is a problem."""

from __future__ import annotations

import shutil
from pathlib import Path
from subprocess import CompletedProcess
from types import SimpleNamespace
from typing import Any

import pytest
from pytest_mock import MockerFixture

from nix_repro.doctor import installation
from nix_repro.doctor.model import Diagnosis, State
from nix_repro.nix.command import Nix
from nix_repro.nix.series import release


@pytest.fixture
def nix(mocker: MockerFixture, tmp_path: Path) -> Any:
    """A Nix whose store, which nobody may write, is `store`."""
    found = mocker.create_autospec(Nix, instance=True)
    found.binary = Path("/usr/bin/nix")
    found.processes = mocker.Mock()
    found.store_dir.return_value = str(tmp_path / "store")
    return found


def told(found: Diagnosis) -> tuple[State, str]:
    assert (found.fix is None) == (found.state == "ok"), "what is not in order has a remedy"
    return found.state, found.found


@pytest.mark.parametrize(
    ("version", "state"),
    [
        ("nix (Nix) 2.3.16", "problem"),
        ("nix (Nix) 2.7", "problem"),
        ("nix (Nix) 2.8.0", "note"),
        ("nix (Nix) 2.17.1", "note"),
        ("nix (Nix) 2.18", "ok"),
        ("nix (Lix, like Nix) 2.91.1", "ok"),
        ("nix (Determinate Nix 3.6.6) 2.29.0", "ok"),
        ("nix (Nix) 2.34.0pre2025", "ok"),
        ("nix (Nix) 3.0", "ok"),
        ("unknown", "ok"),
    ],
)
def test_versions(nix: Any, version: str, state: State) -> None:
    nix.release.return_value = release(version)
    found = installation.version(nix)
    assert told(found)[0] == state
    assert str(release(version)) in found.found


@pytest.mark.parametrize(
    ("code", "said", "complaint", "expected"),
    [
        (0, "cores = 0\nexperimental-features = flakes nix-command\n", "", ("ok", "flakes, nix-command")),
        (0, "experimental-features = ca-derivations flakes\n", "", ("problem", "not enabled: nix-command")),
        (0, "experimental-features = \n", "", ("problem", "not enabled: flakes, nix-command")),
        (
            1,
            "",
            "error: experimental Nix feature 'nix-command' is disabled; use …",
            ("problem", "not enabled: flakes, nix-command"),
        ),
        (1, "", "error: syntax error in nix.conf", ("note", "not known: error: syntax error in nix.conf")),
    ],
)
def test_the_features_that_a_person_has(
    nix: Any, code: int, said: str, complaint: str, expected: tuple[State, str]
) -> None:
    nix.processes.communicate.return_value = CompletedProcess([], code, said.encode(), complaint.encode())
    (found,) = installation.features(nix, {})
    assert told(found) == expected


@pytest.mark.parametrize(
    ("writable", "listens", "expected"),
    [
        (True, False, ("ok", "no daemon: this user writes the store itself")),
        (True, True, ("ok", "nix-daemon listens")),
        (False, True, ("ok", "nix-daemon listens")),
        (False, False, ("problem", "the store is not writable and no nix-daemon listens")),
    ],
)
def test_somebody_has_to_write_the_store(
    nix: Any, tmp_path: Path, writable: bool, listens: bool, expected: tuple[State, str]
) -> None:
    if writable:
        (tmp_path / "store").mkdir()
    if listens:
        (tmp_path / "daemon-socket").mkdir()
        (tmp_path / "daemon-socket/socket").touch()
    assert told(installation.daemon(nix, {"NIX_STATE_DIR": str(tmp_path)})) == expected
    elsewhere = {"NIX_STATE_DIR": "/nowhere", "NIX_DAEMON_SOCKET_PATH": str(tmp_path / "daemon-socket/socket")}
    assert told(installation.daemon(nix, elsewhere)) == expected


def test_a_user_whom_the_daemon_does_not_heed(nix: Any) -> None:
    nix.trusted.return_value = True
    assert told(installation.trusted(nix))[0] == "ok"
    nix.trusted.return_value = False
    assert told(installation.trusted(nix))[0] == "note"


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"sandbox": True}, ("ok", "on")),
        ({"sandbox": "true"}, ("ok", "on")),
        ({"sandbox": "relaxed"}, ("note", "relaxed: ")),
        ({"sandbox": False}, ("note", "false: ")),
        ({}, ("note", "not known: ")),
    ],
)
def test_the_sandbox(settings: dict[str, Any], expected: tuple[State, str]) -> None:
    state, found = told(installation.sandbox(settings))
    assert (state, found.startswith(expected[1])) == (expected[0], True)


@pytest.mark.parametrize(
    ("url", "keys", "missing"),
    [
        ("https://cache.nixos.org/", ["cache.nixos.org-1:6NCH="], False),
        ("https://mine.cachix.org?priority=10", ["mine.cachix.org-1:x="], False),
        ("https://mine.cachix.org", ["cache.nixos.org-1:6NCH="], True),
        ("https://mine.cachix.org?trusted=true", [], False),
        # What is not signed needs no key.
        ("file:///var/cache", [], False),
        ("ssh-ng://host", [], False),
        ("http://127.0.0.1:37515", [], False),
    ],
)
def test_a_key_for_every_cache_that_signs(url: str, keys: list[str], missing: bool) -> None:
    state, found = told(installation.keys({"substituters": [url], "trusted-public-keys": keys}))
    if missing:
        assert (state, found) == ("note", "no trusted key is named after https://mine.cachix.org")
    else:
        assert (state, found) == ("ok", f"{len(keys)} trusted key{'' if len(keys) == 1 else 's'}")


@pytest.mark.parametrize(
    ("jobs", "cores", "cpus", "state"),
    [
        (0, 0, 4, "problem"),
        (1, 0, 4, "note"),
        (1, 0, 1, "ok"),
        (4, 1, 4, "ok"),
        (4, 4, 4, "ok"),
        (4, 0, 4, "ok"),
        (16, 1, 4, "ok"),
        (5, 0, 4, "note"),  # each of five takes four
        (17, 1, 4, "note"),
    ],
)
def test_jobs_and_cores_for_the_processors(
    monkeypatch: pytest.MonkeyPatch, jobs: int, cores: int, cpus: int, state: State
) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: cpus)
    found = installation.jobs({"max-jobs": jobs, "cores": cores})
    assert told(found) == (state, f"max-jobs {jobs}, cores {cores or 'all'}, {cpus} CPU{'' if cpus == 1 else 's'}")


def test_free_space_where_the_store_is_and_where_builds_are_done(nix: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    free = {nix.store_dir(): 40_000_000_000, "/build": 500_000_000}

    def usage(place: str) -> SimpleNamespace:
        if place not in free:
            raise FileNotFoundError(place)
        return SimpleNamespace(free=free[place])

    monkeypatch.setattr(shutil, "disk_usage", usage)
    store, build = installation.space(nix, {"build-dir": "/build"})
    assert (store.check, *told(store)) == ("space: store", "ok", f"40.0 GB free at {nix.store_dir()}")
    assert (build.check, *told(build)) == ("space: build directory", "problem", "500 MB free at /build")
    free["/build"] = 9_000_000_000
    assert told(installation.space(nix, {"build-dir": "/build"})[1]) == ("note", "9.0 GB free at /build")
    assert [row.check for row in installation.space(nix, {"build-dir": "/away"})] == ["space: store"]
