"""Caches that answer or do not, what the store holds, and whether the installables evaluate."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
import requests
from pytest_mock import MockerFixture

from graphs import Graph, drv, out
from nix_repro.doctor import stores
from nix_repro.doctor.model import Diagnosis, State
from nix_repro.errors import UsageError
from nix_repro.nix.command import Nix, NixError
from nix_repro.nix.derivation import PathInfo


def told(found: Diagnosis) -> tuple[str, State, str]:
    assert (found.fix is None) == (found.state == "ok"), "what is not in order has a remedy"
    return found.check, found.state, found.found


def test_without_a_cache_everything_is_built() -> None:
    (found,) = stores.substituters({"substituters": []})
    assert told(found) == ("substituters", "note", "none: everything is built here")


@pytest.mark.parametrize(
    ("status", "took", "state", "said"),
    [
        (200, 0.25, "ok", "https://c.example answers in 250 ms"),
        (200, 2.5, "note", "https://c.example takes 2.5 s to answer"),
        (403, 0.1, "problem", "https://c.example answers 403"),
        (418, 3.0, "problem", "https://c.example answers 418"),
    ],
)
def test_a_cache_that_answers(mocker: MockerFixture, status: int, took: float, state: State, said: str) -> None:
    clock = 100.0

    def get(_session: object, url: str, **_: object) -> Any:
        nonlocal clock
        assert url == "https://c.example/nix-cache-info"
        clock += took
        answer = mocker.MagicMock(status_code=status)
        answer.__enter__.return_value = answer
        return answer

    mocker.patch.object(requests.Session, "get", autospec=True, side_effect=get)
    mocker.patch.object(time, "monotonic", side_effect=lambda: clock)
    (found,) = stores.substituters({"substituters": ["https://c.example/?priority=3"]})
    assert told(found) == ("substituter c.example", state, said)


def test_a_cache_that_does_not_answer(mocker: MockerFixture) -> None:
    mocker.patch.object(requests.Session, "get", side_effect=requests.ConnectTimeout("no"))
    (found,) = stores.substituters({"substituters": ["https://mine.cachix.org"]})
    assert told(found) == (
        "substituter Cachix mine",
        "problem",
        "https://mine.cachix.org cannot be reached (ConnectTimeout)",
    )


def test_other_kinds_of_caches_in_their_order(tmp_path: Path) -> None:
    urls = ["ssh-ng://host", f"file://{tmp_path}", f"file://{tmp_path}/gone"]
    found = [told(row)[1:] for row in stores.substituters({"substituters": urls})]
    assert found == [
        ("ok", "ssh-ng://host: not asked"),
        ("ok", "there"),
        ("problem", f"file://{tmp_path}/gone: there is no such directory"),
    ]


def test_magic_nix_cache_is_on_when_its_daemon_is_asked() -> None:
    assert told(stores.magic({"substituters": ["http://127.0.0.1:37515/?x"]})) == ("Magic Nix Cache", "ok", "on")
    assert told(stores.magic({"substituters": ["https://cache.nixos.org"]}))[1] == "note"


@pytest.fixture
def nix(mocker: MockerFixture, tmp_path: Path) -> Any:
    """A Nix whose state directory is `tmp_path`, with an empty store."""
    found = mocker.create_autospec(Nix, instance=True)
    found.env = {"NIX_STATE_DIR": str(tmp_path)}
    found.store_dir.return_value = "/nix/store"
    found.settings.return_value = {}
    found.path_info.return_value = {}
    found.everything.return_value = {}
    return found


def test_what_the_store_holds_and_what_would_be_freed(nix: Any, tmp_path: Path) -> None:
    app, libc, junk, recipe = (f"/nix/store/{c * 32}-{c}" for c in "abcd")
    nix.everything.return_value = {
        row.path: row
        for row in (
            PathInfo(app, 3_000_000, None, recipe, (libc,)),
            PathInfo(libc, 2_000_000),
            PathInfo(junk, 400_000),
            PathInfo(recipe, 1_000),
        )
    }
    (tmp_path / "gcroots").mkdir()
    (tmp_path / "gcroots/app").symlink_to(app)
    used, freed = stores.store(nix)
    assert told(used) == ("store size", "ok", "2 paths in use, 5.0 MB")
    assert told(freed) == ("garbage", "ok", "nix-collect-garbage would free 2 paths, 401 kB")
    nix.settings.return_value = {"keep-derivations": True}
    used, freed = stores.store(nix)
    assert told(freed)[2] == "nix-collect-garbage would free 1 path, 400 kB"


def test_a_store_that_cannot_be_read(nix: Any) -> None:
    nix.everything.side_effect = NixError("error:\n… while reading\nerror: database is corrupt")
    (found,) = stores.store(nix)
    assert told(found) == ("store size", "note", "not known: database is corrupt")


def test_installables_and_the_closures_of_those_that_are_built(nix: Any, tmp_path: Path, mocker: MockerFixture) -> None:
    graph: Graph = {}
    app, lib = drv(graph, "app"), drv(graph, "lib")
    (tmp_path / "flake.nix").touch()
    mocker.patch.object(stores, "evaluate", return_value={"packages.x.app": app, "packages.x.lib": lib})
    nix.derivations.side_effect = lambda paths: {path: graph[path] for path in paths}
    nix.invalid.return_value = {out(graph, lib)}
    nix.path_info.return_value = {out(graph, app): PathInfo(out(graph, app), 1, 5_100)}
    assert [told(row) for row in stores.closures(nix, tmp_path, [".#app", ".#lib"])] == [
        ("installables", "ok", "2 installables"),
        ("closure app", "ok", "5.1 kB"),
    ]
    nix.path_info.return_value = {out(graph, app): PathInfo(out(graph, app), 1)}
    assert told(list(stores.closures(nix, tmp_path, ["all"]))[1]) == ("closure app", "ok", "size not known")


def test_installables_that_do_not_evaluate(nix: Any, tmp_path: Path, mocker: MockerFixture) -> None:
    said = "error: undefined variable 'oops'\n\n       at /x/flake.nix:1:1:\n\n            1| oops\n             | ^\n"
    error = UsageError(f".#x: evaluation failed\n{said}")
    mocker.patch.object(stores, "evaluate", side_effect=error)
    assert [told(row) for row in stores.closures(nix, tmp_path, ["github:o/r#x"])] == [
        ("installables", "problem", "undefined variable 'oops'")
    ]


def test_where_there_is_no_flake_nothing_is_evaluated(nix: Any, tmp_path: Path) -> None:
    assert [told(row) for row in stores.closures(nix, tmp_path, [".#app", "#x"])] == [
        ("installables", "note", "there is no flake.nix here")
    ]
