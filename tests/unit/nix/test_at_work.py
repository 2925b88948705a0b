"""Which builds are over, as lock files and outputs show it."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from msgspec.structs import replace

from graphs import Graph, drv
from nix_repro.nix.at_work import AtWork, locked_inodes, over, rooms
from nix_repro.nix.derivation import Derivation, DrvOutput


@pytest.fixture
def built() -> Derivation:
    graph: Graph = {}
    it = graph[drv(graph, "app")]
    return replace(it, outputs={**it.outputs, "dev": DrvOutput(f"{it.outputs['out'].path}-dev")})


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """Somebody works on what the file is beside."""
    with file.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def outputs(it: Derivation, store: Path) -> list[Path]:
    return [store / Path(str(output.path)).name for output in it.outputs.values()]


def lock_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.lock")


def is_over(it: Derivation, *places: Path) -> bool:
    return over(it, places, locked_inodes())


def test_a_lock_that_is_held_is_a_build_that_runs(built: Derivation, tmp_path: Path) -> None:
    out, dev = outputs(built, tmp_path)
    with ExitStack() as held:
        for path in (out, dev):
            held.enter_context(locked(lock_of(path)))
        assert not is_over(built, tmp_path)
        # Without a sandbox, a builder writes in the store itself.
        out.touch()
        dev.touch()
        assert not is_over(built, tmp_path)
    assert is_over(built, tmp_path), "nobody holds it any more: it has failed"
    assert not over(built, [tmp_path], None), "where that is not known, a file is as good as a lock"
    for path in (out, dev):
        lock_of(path).unlink()
    assert is_over(built, tmp_path), "the outputs are there"
    dev.unlink()
    assert not is_over(built, tmp_path), "no trace says nothing"


def test_where_outputs_have_no_place_yet_the_lock_is_beside_the_drv(tmp_path: Path) -> None:
    graph: Graph = {}
    path = drv(graph, "floating")
    floating = replace(graph[path], outputs={"out": DrvOutput(None)})
    with locked(lock_of(tmp_path / Path(path).name)):
        assert not is_over(floating, tmp_path)
    assert is_over(floating, tmp_path)


def test_the_room_counts_before_the_store_which_has_the_first_build(built: Derivation, tmp_path: Path) -> None:
    store = tmp_path / "store"
    room = rooms(store) / "run-x/store"
    for directory in (store, room):
        directory.mkdir(parents=True)
    for path in outputs(built, store):
        path.touch()
    at_work = AtWork({built.drv_path: built}.get, store, rooms(store))
    with locked(lock_of(outputs(built, room)[0])):
        assert at_work.over([built.drv_path, "/nix/store/unknown.drv"]) == []
    assert at_work.over([built.drv_path]) == [built.drv_path]


def test_who_waits_for_a_lock_has_none(tmp_path: Path) -> None:
    file = tmp_path / "locks"
    file.write_text("1: FLOCK  ADVISORY  WRITE 7 00:2a:16911 0 EOF\n1: -> FLOCK  ADVISORY  WRITE 8 00:2a:5 0 EOF\nx\n")
    assert locked_inodes(file) == frozenset({16911})
    assert locked_inodes(tmp_path / "none") is None
