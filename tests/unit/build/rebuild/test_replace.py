"""What is deleted and put back in the store that people rely on."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any
from unittest.mock import Mock

import pytest
from pytest_mock import MockerFixture

from nix_repro.build.rebuild.protocol import Answer
from nix_repro.build.rebuild.replace import Replace, in_the_way, left, not_stuck, to_delete, to_restore
from nix_repro.nix.command import NixError
from nix_repro.nix.log.recorder import Recorder
from rebuilds import Log, derivation, first_build, path, request, sri

ONE, TWO = derivation("one", outputs=("out", "doc")), derivation("two")


def test_what_refers_to_a_target_is_deleted_with_it_if_it_is_this_runs() -> None:
    assert to_delete({"/s/b", "/s/a"}, ["/s/a", "/s/user", "/s/c"], {"/s/a", "/s/b", "/s/c"}) == [
        "/s/a",
        "/s/b",
        "/s/c",
    ]


def test_what_is_gone_or_stuck_is_not_deleted_again() -> None:
    assert left(["/s/a", "/s/b", "/s/c"], {"/s/b"}) == ["/s/a", "/s/c"]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("error: Cannot delete path '/s/a' since it is still alive. To find out why, use: nix-store", "/s/a"),
        ("error: cannot delete path '/s/a' because it's referenced by the GC root '/r'", "/s/a"),
        ("error: database is locked", None),
    ],
)
def test_nix_says_what_is_in_use(words: str, found: str | None) -> None:
    assert in_the_way(words) == found


def test_a_target_with_one_output_in_use_is_not_built_again_here() -> None:
    assert not_stuck(request(ONE, TWO), {path("one-doc")}) == (TWO,)
    assert not_stuck(request(ONE, TWO), set()) == (ONE, TWO)


def test_only_what_is_no_longer_the_first_builds_is_put_back() -> None:
    first = {"/s/same": "A", "/s/differs": "A", "/s/gone": "A", "/s/other": "A"}
    doomed = ["/s/same", "/s/differs", "/s/gone"]
    assert to_restore(doomed, first, {"/s/same": "A", "/s/differs": "B"}) == ["/s/differs", "/s/gone"]


class Store:
    """A Nix whose store is `valid`: narHashes by path. What is built again becomes `again`; `alive` cannot be
    deleted. `done` are the commands that change it."""

    def __init__(self, mocker: MockerFixture, *, trusted: bool, again: dict[str, str]) -> None:
        self.valid = {path("two"): sri("A")}
        self.again = again
        self.alive: set[str] = set()
        self.done: list[str] = []
        self.broken: str | None = None
        self.nix: Mock = mocker.Mock()
        self.nix.with_options.return_value = self.nix
        self.nix.trusted.return_value = trusted
        self.nix.processes.shielded.return_value = mocker.MagicMock()
        self.nix.processes.stopped.return_value = False
        self.nix.requisites.side_effect = list
        self.nix.invalid.side_effect = lambda paths: set(paths) - self.valid.keys()
        self.nix.valid_hashes.side_effect = lambda paths: {p: self.valid[p] for p in paths if p in self.valid}
        self.nix.run.return_value = ""
        self.nix.delete.side_effect = self.delete
        self.nix.export.side_effect = lambda *_: self.done.append("export")
        self.nix.run_from.side_effect = self.put_back
        self.nix.stream.side_effect = self.build

    def delete(self, paths: Iterable[str]) -> None:
        self.done.append("delete")
        gone = set(paths)
        if self.broken:
            raise NixError(self.broken)
        if stuck := self.alive & gone:
            raise NixError(f"error: Cannot delete path '{stuck.pop()}' since it is still alive")
        self.valid = {p: h for p, h in self.valid.items() if p not in gone}

    def build(self, feed: Any, *_: str, paths: Iterable[str]) -> CompletedProcess[bytes]:
        assert list(paths) == [TWO.drv_path]
        self.done.append("build")
        log = Log()
        log.recorder.feed = feed  # type: ignore[method-assign]
        log.build(TWO)
        self.valid |= self.again
        return CompletedProcess([], 0, b"")

    def put_back(self, *_: object) -> None:
        self.done.append("import")
        self.valid = {path("two"): sri("A")}


@pytest.fixture
def warned(mocker: MockerFixture) -> Mock:
    warn: Mock = mocker.Mock()
    return warn


def rebuild(store: Store, warned: Mock, keep: Path, otherwise: Mock | None = None) -> Answer:
    rebuilder = Replace(store.nix, store.nix.release, otherwise or Mock(), warned)
    return rebuilder.rebuild(request(TWO, keep=keep), Recorder())


def test_the_first_build_is_put_back_when_the_rebuild_differs(
    mocker: MockerFixture, warned: Mock, tmp_path: Path
) -> None:
    store = Store(mocker, trusted=True, again={path("two"): sri("B")})
    copied = mocker.patch("nix_repro.build.rebuild.replace.copy_tree")
    answer = rebuild(store, warned, tmp_path)
    assert store.done == ["export", "delete", "build", "delete", "import"]
    assert store.valid == {path("two"): sri("A")}
    (attempt,) = answer.attempts
    assert attempt.outputs["out"].nar_hash == sri("B")
    (tree,) = answer.trees.values()
    assert (tree.a, tree.b) == (Path(path("two")), tmp_path / "round-2" / Path(path("two")).name)
    copied.assert_called_once_with(path("two"), tree.b)
    store.nix.release.assert_called_once_with()
    warned.assert_not_called()


def test_an_equal_rebuild_may_stay(mocker: MockerFixture, warned: Mock, tmp_path: Path) -> None:
    store = Store(mocker, trusted=True, again={path("two"): sri("A")})
    answer = rebuild(store, warned, tmp_path)
    assert store.done == ["export", "delete", "build"]
    assert answer.trees == {}


def test_a_rebuild_that_failed_leaves_the_first_build(mocker: MockerFixture, warned: Mock, tmp_path: Path) -> None:
    store = Store(mocker, trusted=True, again={})
    rebuild(store, warned, tmp_path)
    assert store.done == ["export", "delete", "build", "import"]
    assert store.valid == {path("two"): sri("A")}


def test_who_may_not_put_it_back_is_told(mocker: MockerFixture, warned: Mock, tmp_path: Path) -> None:
    store = Store(mocker, trusted=False, again={path("two"): sri("B")})
    copied = mocker.patch("nix_repro.build.rebuild.replace.copy_tree")
    (tree,) = rebuild(store, warned, tmp_path).trees.values()
    assert store.done == ["delete", "build"]
    assert tree.a == tmp_path / "first-2" / Path(path("two")).name
    assert [call.args for call in copied.call_args_list] == [(path("two"), tree.a), (path("two"), tree.b)]
    warned.assert_called_once_with(
        "the store now holds the rebuild of 1 output: this user may not put the first build back"
    )


def test_what_could_not_be_put_back_is_said(mocker: MockerFixture, warned: Mock, tmp_path: Path) -> None:
    store = Store(mocker, trusted=True, again={path("two"): sri("B")})
    mocker.patch("nix_repro.build.rebuild.replace.copy_tree")
    store.nix.run_from.side_effect = NixError("error: first\nlast line")
    rebuild(store, warned, tmp_path)
    warned.assert_called_once_with("the first build of 1 output could not be put back: last line")


def test_what_is_in_use_is_left_to_another_rebuilder(mocker: MockerFixture, warned: Mock, tmp_path: Path) -> None:
    store = Store(mocker, trusted=True, again={})
    store.alive = {path("two")}
    otherwise = mocker.Mock()
    otherwise.name = "another"
    otherwise.rebuild.return_value = Answer((first_build(TWO),), {})
    answer = rebuild(store, warned, tmp_path, otherwise)
    assert store.done == ["export", "delete"]
    assert answer.attempts == (first_build(TWO),)
    assert otherwise.rebuild.call_args.args[0].targets == (TWO,)
    warned.assert_called_once_with("in use, so not to be replaced, and rebuilt by another instead: two")


def test_an_error_that_names_nothing_is_one_and_the_store_is_as_it_was(
    mocker: MockerFixture, warned: Mock, tmp_path: Path
) -> None:
    store = Store(mocker, trusted=True, again={})
    store.broken = "error: database is locked"
    with pytest.raises(NixError, match="database is locked"):
        rebuild(store, warned, tmp_path)
    assert store.valid == {path("two"): sri("A")}
    assert not (tmp_path / "first-2").exists()
