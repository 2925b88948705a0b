"""What is deleted and put back in the store that people rely on."""

from __future__ import annotations

from pathlib import Path
from subprocess import CompletedProcess
from typing import Any
from unittest.mock import Mock

import pytest
from pytest_mock import MockerFixture

from nix_repro.build.rebuild.protocol import Answer
from nix_repro.build.rebuild.replace import Replace, not_stuck, to_restore
from nix_repro.nix.command import NixError
from nix_repro.nix.derivation import PathInfo
from nix_repro.nix.log.recorder import Recorder
from rebuilds import Log, derivation, first_build, path, request, sri

ONE, WOOD = derivation("one", outputs=("out", "doc")), derivation("wood")


def test_a_target_with_one_output_in_use_is_not_built_again_here() -> None:
    assert not_stuck(request(ONE, WOOD), {path("one-doc")}) == (WOOD,)
    assert not_stuck(request(ONE, WOOD), set()) == (ONE, WOOD)


def test_only_what_is_no_longer_the_first_builds_is_put_back() -> None:
    first = {"/s/same": "A", "/s/differs": "A", "/s/gone": "A", "/s/other": "A"}
    doomed = ["/s/same", "/s/differs", "/s/gone"]
    assert to_restore(doomed, first, {"/s/same": "A", "/s/differs": "B"}) == ["/s/differs", "/s/gone"]


class Store:
    """A Nix whose store is `valid`: narHashes by path. What is built again becomes `again`; `alive` cannot be
    deleted. `done` are the commands that change it."""

    def __init__(self, mocker: MockerFixture, *, trusted: bool, again: dict[str, str]) -> None:
        self.valid = {path("wood"): sri("A")}
        self.again = again
        self.alive: set[str] = set()
        self.done: list[str] = []
        self.broken: str | None = None
        self.nix: Mock = mocker.Mock()
        self.nix.with_options.return_value = self.nix
        self.nix.settings.return_value = {}
        self.nix.store_dir.return_value = "/nix/store"
        self.nix.trusted.return_value = trusted
        self.nix.processes.shielded.return_value = mocker.MagicMock()
        self.nix.processes.stopped.return_value = False
        self.nix.requisites.side_effect = list
        self.nix.invalid.side_effect = lambda paths: set(paths) - self.valid.keys()
        self.nix.valid_hashes.side_effect = lambda paths: {p: self.valid[p] for p in paths if p in self.valid}
        self.nix.path_info.side_effect = lambda paths: {p: PathInfo(p, nar_hash=self.valid[p]) for p in paths}
        self.nix.run.side_effect = self.run
        self.nix.delete.side_effect = self.delete
        self.nix.run_to.side_effect = self.dump
        self.nix.run_from.side_effect = self.restore
        self.nix.stream.side_effect = self.build

    def delete(self, paths: list[str]) -> None:
        self.done.append("delete")
        if self.broken:
            raise NixError(self.broken)
        if stuck := self.alive.intersection(paths):
            raise NixError(f"error: Cannot delete path '{stuck.pop()}' since it is still alive")
        self.valid = {p: h for p, h in self.valid.items() if p not in paths}

    def build(self, feed: Any, *_: str, **__: object) -> CompletedProcess[bytes]:
        self.done.append("build")
        log = Log()
        log.recorder.feed = feed  # type: ignore[method-assign]
        log.build(WOOD)
        self.valid |= self.again
        return CompletedProcess([], 0, b"")

    def dump(self, file: Any, _: str, what: str, *, paths: list[str]) -> None:
        if what == "--dump":
            self.done.append("set aside")
            file.write(self.valid[paths[0]].encode())

    def restore(self, file: Any, _: str, what: str, *to: str) -> None:
        if what == "--restore":
            Path(to[0]).write_bytes(file.read())

    def run(self, _: str, what: str, *__: str, paths: list[str] | None = None) -> str:
        if what == "copy":
            assert paths == [path("wood")]
            self.done.append("put back")
            self.valid = {path("wood"): sri("A")}
        return ""


@pytest.fixture
def warned(mocker: MockerFixture) -> Mock:
    warn: Mock = mocker.Mock()
    return warn


def rebuild(store: Store, warned: Mock, keep: Path, otherwise: Mock | None = None) -> Answer:
    rebuilder = Replace(store.nix, store.nix.release, otherwise or Mock(), warned)
    return rebuilder.rebuild(request(WOOD, keep=keep), Recorder())


def test_the_first_build_is_put_back_when_the_rebuild_differs(
    mocker: MockerFixture, warned: Mock, tmp_path: Path
) -> None:
    store = Store(mocker, trusted=True, again={path("wood"): sri("B")})
    copied = mocker.patch("nix_repro.build.rebuild.replace.copy_tree")
    answer = rebuild(store, warned, tmp_path)
    assert store.done == ["set aside", "delete", "build", "delete", "put back"]
    assert store.valid == {path("wood"): sri("A")}
    (attempt,) = answer.attempts
    assert attempt.outputs["out"].nar_hash == sri("B")
    (tree,) = answer.trees.values()
    assert (tree.a, tree.b) == (Path(path("wood")), tmp_path / "round-2" / Path(path("wood")).name)
    copied.assert_called_once_with(path("wood"), tree.b)
    store.nix.release.assert_called_once_with()
    warned.assert_not_called()
    assert not (tmp_path / "aside-1").exists(), "it is in the store"


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), RecursionError(), NixError("database")])
def test_the_first_build_is_put_back_whatever_becomes_of_the_comparison(
    mocker: MockerFixture, warned: Mock, tmp_path: Path, error: Exception
) -> None:
    """A TMPDIR that is full, directories deeper than anybody thought."""
    store = Store(mocker, trusted=True, again={path("wood"): sri("B")})
    where = "output_paths" if isinstance(error, NixError) else "copy_tree"
    mocker.patch(f"nix_repro.build.rebuild.replace.{where}", side_effect=error)
    if isinstance(error, OSError):
        (attempt,) = rebuild(store, warned, tmp_path).attempts
        assert attempt.outputs["out"].nar_hash == sri("B"), "the verdict needs no copy"
    else:
        with pytest.raises(type(error)):
            rebuild(store, warned, tmp_path)
    assert store.valid == {path("wood"): sri("A")}


def test_an_equal_rebuild_may_stay(mocker: MockerFixture, warned: Mock, tmp_path: Path) -> None:
    store = Store(mocker, trusted=True, again={path("wood"): sri("A")})
    answer = rebuild(store, warned, tmp_path)
    assert store.done == ["set aside", "delete", "build"]
    assert answer.trees == {}


def test_a_rebuild_that_failed_leaves_the_first_build(mocker: MockerFixture, warned: Mock, tmp_path: Path) -> None:
    store = Store(mocker, trusted=True, again={})
    rebuild(store, warned, tmp_path)
    assert store.done == ["set aside", "delete", "build", "put back"]
    assert store.valid == {path("wood"): sri("A")}


@pytest.mark.parametrize("believed", [False, True])
def test_who_may_not_put_it_back_is_told(mocker: MockerFixture, warned: Mock, tmp_path: Path, believed: bool) -> None:
    """What our configuration says of trust need not be the daemon's."""
    store = Store(mocker, trusted=believed, again={path("wood"): sri("B")})

    def unpack_only(file: Any, program: str, what: str, *to: str) -> None:
        if what == "--import":
            raise NixError("error: cannot add path because it lacks a valid signature")
        store.restore(file, program, what, *to)

    store.nix.run_from.side_effect = unpack_only
    copied = mocker.patch("nix_repro.build.rebuild.replace.copy_tree")
    (tree,) = rebuild(store, warned, tmp_path).trees.values()
    assert store.done == ["set aside", "delete", "build"]
    assert (tree.a.name, tree.a.read_text()) == (Path(path("wood")).name, sri("A"))
    assert tree.a != Path(path("wood"))
    copied.assert_called_once_with(path("wood"), tree.b)
    warned.assert_called_once_with(
        "the store now holds the rebuild of 1 output: this user may not put the first build back"
    )


def test_what_the_store_holds_instead_is_what_a_rebuild_alone_is_compared_with(
    mocker: MockerFixture, warned: Mock, tmp_path: Path
) -> None:
    """Its inputs are that rebuild's, and a victim of them would differ from the first build."""
    store = Store(mocker, trusted=False, again={path("wood"): sri("B")})
    mocker.patch("nix_repro.build.rebuild.replace.copy_tree")
    rebuilder = Replace(store.nix, store.nix.release, Mock(), warned)
    rebuilder.rebuild(request(WOOD, keep=tmp_path), Recorder())
    alone = request(WOOD, keep=tmp_path, isolated=True)
    (attempt,) = rebuilder.rebuild(alone, Recorder()).attempts
    first = alone.first[WOOD.drv_path]
    assert attempt.against is not None
    assert (attempt.against.round, attempt.isolated) == (2, True)
    assert not attempt.differs("out", first), "the same twice, on the same inputs"
    assert attempt.outputs["out"].nar_hash != first.outputs["out"].nar_hash
    store.again = {path("wood"): sri("C")}
    answer = rebuilder.rebuild(alone, Recorder())
    assert answer.attempts[0].differs("out", first)
    (tree,) = answer.trees.values()
    assert tree.a.read_text() == sri("B")


def test_what_could_not_be_put_back_is_said(mocker: MockerFixture, warned: Mock, tmp_path: Path) -> None:
    store = Store(mocker, trusted=True, again={path("wood"): sri("B")})
    mocker.patch("nix_repro.build.rebuild.replace.copy_tree")
    mocker.patch("nix_repro.build.rebuild.aside.Aside.give_back", side_effect=NixError("error: first\nlast line"))
    rebuild(store, warned, tmp_path)
    warned.assert_called_once_with("the first build of 1 output could not be put back: last line")


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), NixError("error: cannot\nwrite")])
def test_what_cannot_be_set_aside_is_not_deleted(
    mocker: MockerFixture, warned: Mock, tmp_path: Path, error: Exception
) -> None:
    store = Store(mocker, trusted=True, again={})
    store.nix.run_to.side_effect = error
    otherwise = mocker.Mock()
    otherwise.name = "another"
    otherwise.rebuild.return_value = Answer((first_build(WOOD),), {})
    assert rebuild(store, warned, tmp_path, otherwise).attempts == (first_build(WOOD),)
    assert store.done == []
    assert "rebuilt by another instead: wood" in warned.call_args.args[0]


def test_what_is_in_use_is_left_to_another_rebuilder(mocker: MockerFixture, warned: Mock, tmp_path: Path) -> None:
    store = Store(mocker, trusted=True, again={})
    store.alive = {path("wood")}
    otherwise = mocker.Mock()
    otherwise.name = "another"
    otherwise.rebuild.return_value = Answer((first_build(WOOD),), {})
    answer = rebuild(store, warned, tmp_path, otherwise)
    assert store.done == ["set aside", "delete"]
    assert answer.attempts == (first_build(WOOD),)
    assert otherwise.rebuild.call_args.args[0].targets == (WOOD,)
    warned.assert_called_once_with("in use, so not to be replaced, and rebuilt by another instead: wood")


def test_an_error_that_names_nothing_is_one_and_the_store_is_as_it_was(
    mocker: MockerFixture, warned: Mock, tmp_path: Path
) -> None:
    store = Store(mocker, trusted=True, again={})
    store.broken = "error: database is locked"
    with pytest.raises(NixError, match="database is locked"):
        rebuild(store, warned, tmp_path)
    assert store.valid == {path("wood"): sri("A")}
    assert not (tmp_path / "aside-1").exists()
