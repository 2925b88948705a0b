"""Which paths go in which order, and which do not."""

from __future__ import annotations

from unittest.mock import Mock

import pytest

from nix_repro.build.rebuild.moving import delete, in_the_way, in_turns, left, to_delete
from nix_repro.nix.command import NixError
from nix_repro.nix.derivation import PathInfo


def test_what_refers_to_a_target_is_deleted_with_it_if_it_is_this_runs() -> None:
    assert to_delete({"/s/b", "/s/a"}, ["/s/a", "/s/user", "/s/c"], {"/s/a", "/s/b", "/s/c"}) == [
        "/s/a",
        "/s/b",
        "/s/c",
    ]


def test_a_derivation_with_the_places_filled_in_is_deleted_with_what_it_is_built_from() -> None:
    assert to_delete({"/s/a"}, ["/s/on-a.drv", "/s/user"], ()) == ["/s/a", "/s/on-a.drv"]


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


def test_what_is_in_use_keeps_what_is_below_it() -> None:
    nix, valid = Mock(), {"/s/a", "/s/b", "/s/c"}
    nix.invalid.side_effect = lambda paths: {*paths} - valid
    nix.requisites.side_effect = lambda paths: ["/s/b", *paths]

    def deleted(paths: list[str]) -> None:
        if "/s/a" in paths:
            raise NixError("error: Cannot delete path '/s/a' since it is still alive")
        valid.difference_update(paths)

    nix.delete.side_effect = deleted
    assert delete(nix, ["/s/a", "/s/b", "/s/c"]) == {"/s/a", "/s/b"}
    assert valid == {"/s/a", "/s/b"}


@pytest.mark.parametrize("words", ["error: database is locked", "error: Cannot delete path '/s/a' twice"])
def test_an_error_that_names_nothing_new_is_one(words: str) -> None:
    nix = Mock()
    nix.invalid.return_value, nix.requisites.return_value = set(), []
    nix.delete.side_effect = NixError(words)
    with pytest.raises(NixError, match="locked" if "locked" in words else "twice"):
        delete(nix, ["/s/a", "/s/b"])


def infos(**references: tuple[str, ...]) -> dict[str, PathInfo]:
    """Paths by name (`_drv` for `.drv`) with what they refer to."""

    def named(name: str) -> str:
        return "/s/" + name.replace("_drv", ".drv")

    return {named(name): PathInfo(named(name), references=tuple(map(named, refs))) for name, refs in references.items()}


def test_derivations_and_sources_are_never_in_one_turn() -> None:
    found = in_turns(infos(top_drv=("low_drv", "source"), low_drv=("source", "other"), source=(), other=()))
    assert [sorted(turn) for turn in found] == [["/s/other", "/s/source"], ["/s/low.drv", "/s/top.drv"]]
    assert in_turns({}) == []


def test_an_output_that_holds_a_derivation_comes_after_it_and_before_what_takes_it() -> None:
    """`${drv.drvPath}` in an output, and that output as a source of another derivation."""
    found = in_turns(infos(again_drv=("output",), output=("output", "drv_drv"), drv_drv=("source",), source=()))
    assert found == [["/s/source"], ["/s/drv.drv"], ["/s/output"], ["/s/again.drv"]]


def test_graphs_are_deeper_than_pythons_stack() -> None:
    chain = {f"/s/{n}": PathInfo(f"/s/{n}", references=(f"/s/{n + 1}",)) for n in range(5000)}
    (turn,) = in_turns(chain)
    assert turn[0] == "/s/4999"
