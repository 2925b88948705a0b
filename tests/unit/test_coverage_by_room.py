"""What counts as covered, and what as too little."""

from __future__ import annotations

from tools import tool

MODULES = {"verdict/policy.py": (10, 9), "verdict/verdict.py": (100, 89), "nix/command.py": (10, 0), "check.py": (5, 5)}


def test_lines_are_counted_by_folder() -> None:
    assert tool("coverage_by_room").by_room(MODULES) == {"verdict": (110, 98), "nix": (10, 0), ".": (5, 5)}


def test_each_module_has_to_be_covered_by_itself_where_anything_is_decided() -> None:
    assert tool("coverage_by_room").lacking(MODULES) == {"verdict/verdict.py": (100, 89)}
    assert tool("coverage_by_room").lacking({"verdicts.py": (10, 0), "output/render/x.py": (0, 0)}) == {}


def test_every_room_that_has_to_be_covered_is_there() -> None:
    coverage = tool("coverage_by_room")
    assert all((coverage.PACKAGE / room).is_dir() for room in coverage.COVERED)
