"""Copies that are whole or nothing, of trees as deep as builders make them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from deep import DEPTH, deep_tree
from nix_repro.build.rebuild.copying import copy_tree, whole_trees
from nix_repro.build.rebuild.protocol import Answer
from nix_repro.nix.nar import nar_hash
from nix_repro.observations import Attempt, Seen, Tree

KEY = ("/s/x.drv", "out")


@pytest.mark.parametrize(("depth", "name"), [(DEPTH, "d"), (100, "d" * 100)])
def test_no_depth_is_too_deep(deep_room: Path, depth: int, name: str) -> None:
    """Neither more levels than Python recurses nor a path that no system call takes."""
    deep_tree(deep_room / "source", depth, name, file=b"x")
    copy_tree(deep_room / "source", deep_room / "copy")
    assert nar_hash(deep_room / "copy") == nar_hash(deep_room / "source")


def test_what_no_store_path_holds_is_not_copied(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="no store path holds"):
        copy_tree(tmp_path / "pipe", tmp_path / "copy")


def test_of_what_cannot_be_copied_nothing_is_left(tmp_path: Path) -> None:
    """The disk may be full."""
    source = tmp_path / "source"
    (source / "sub").mkdir(parents=True)
    (source / "file").write_text("content")
    os.mkfifo(source / "sub/pipe")
    with pytest.raises(OSError, match="no store path holds"):
        copy_tree(source, tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


def test_what_was_there_before_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "source").write_text("new")
    (tmp_path / "copy").write_text("old")
    with pytest.raises(FileExistsError):
        copy_tree(tmp_path / "source", tmp_path / "copy")
    assert (tmp_path / "copy").read_text() == "old"


def sides(tmp_path: Path, *, copied: bool) -> tuple[Answer, dict[str, Attempt]]:
    """A differing output whose first build is in the store, or a copy as well."""
    a, b = tmp_path / "a", tmp_path / "b"
    a.write_text("one")
    b.write_text("two")
    store = "/nix/store/x" if copied else str(a)
    first = Attempt(KEY[0], 1, "built", {"out": Seen(store, nar_hash(a), "built", "")})
    again = Attempt(KEY[0], 2, "built", {"out": Seen(store, nar_hash(b), "rebuilt", "")})
    return Answer((again,), {KEY: Tree(a, b, 2)}), {KEY[0]: first}


def test_half_a_copy_is_not_taken_for_the_rebuild(tmp_path: Path) -> None:
    answer, first = sides(tmp_path, copied=False)
    assert whole_trees(answer, first) == ({KEY: answer.trees[KEY]}, [])
    (tmp_path / "b").write_text("t")
    assert whole_trees(answer, first) == ({}, [KEY])
    (tmp_path / "b").unlink()
    assert whole_trees(answer, first) == ({}, [KEY])


def test_the_first_build_is_looked_at_where_it_is_a_copy(tmp_path: Path) -> None:
    answer, first = sides(tmp_path, copied=True)
    (tmp_path / "a").write_text("on")
    assert whole_trees(answer, first) == ({}, [KEY])
    answer, first = sides(tmp_path, copied=False)
    (tmp_path / "a").write_text("on")
    assert whole_trees(answer, first)[1] == [], "what is in the store is Nix's business"
