"""Copies that are whole or nothing, of trees as deep as builders make them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from nix_repro.build.rebuild.copying import copy_tree, whole_trees
from nix_repro.build.rebuild.protocol import Answer
from nix_repro.nix.nar import nar_hash
from nix_repro.observations import Attempt, Seen, Tree

KEY = ("/s/x.drv", "out")


def deep(top: Path, depth: int) -> None:
    before = os.getcwd()
    top.mkdir()
    os.chdir(top)
    try:
        for number in range(depth):
            Path("f").write_text(str(number))
            os.symlink("f", "l")
            os.mkdir("d")
            os.chdir("d")
    finally:
        os.chdir(before)


@pytest.mark.parametrize("depth", [1200, 2500])
def test_no_depth_is_too_deep(deep_room: Path, depth: int) -> None:
    """2,500 levels below a directory that is itself deep make a path that no system call takes."""
    deep(deep_room / "source", depth)
    to = deep_room.joinpath(*["a" * 200] * 5) / "copy"
    copy_tree(deep_room / "source", to)
    assert nar_hash(to) == nar_hash(deep_room / "source")


def test_what_no_store_path_holds_is_not_copied(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="no store path holds"):
        copy_tree(tmp_path / "pipe", tmp_path / "copy")


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
