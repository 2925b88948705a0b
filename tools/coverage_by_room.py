#!/usr/bin/env python3
"""Prints how much of each room the unit tests run, and what of it is too little. `bin/test --unit --cov` measures it.

python3 tools/coverage_by_room.py    exits 1 when a module that has to be covered is not
"""

from __future__ import annotations

import sys
from pathlib import Path

import coverage

PACKAGE = Path(__file__).parents[1] / "src/nix_repro"
#: Where everything that decides is: each module there is run to this share of its lines by unit tests alone.
COVERED = ("verdict", "metrics", "plan", "explain", "output/render")
LEAST = 0.90


def measured(data: coverage.Coverage) -> dict[str, tuple[int, int]]:
    """Per module of the package, by its path there: how many lines it has that can be run, and how many were."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        _, lines, _, missing, _ = data.analysis2(str(path))
        found[path.relative_to(PACKAGE).as_posix()] = len(lines), len(lines) - len(missing)
    return found


def by_room(modules: dict[str, tuple[int, int]]) -> dict[str, tuple[int, int]]:
    """The same per folder; what is in the package's own is under `.`."""
    rooms: dict[str, tuple[int, int]] = {}
    for name, (lines, ran) in modules.items():
        room = Path(name).parent.as_posix()
        before = rooms.get(room, (0, 0))
        rooms[room] = before[0] + lines, before[1] + ran
    return rooms


def lacking(modules: dict[str, tuple[int, int]]) -> dict[str, tuple[int, int]]:
    """The modules that have to be covered and are not."""
    return {
        name: (lines, ran)
        for name, (lines, ran) in modules.items()
        if name.startswith(tuple(f"{room}/" for room in COVERED)) and ran < LEAST * lines
    }


def main() -> int:
    """The command."""
    data = coverage.Coverage()
    data.load()
    modules = measured(data)
    for name, (lines, ran) in by_room(modules).items():
        print(f"{ran / lines if lines else 1:6.1%} of {lines:5} lines  {name}")
    wrong = lacking(modules)
    for name, (lines, ran) in wrong.items():
        print(f"too little: {ran / lines:6.1%} of {name}, and {LEAST:.0%} is the least")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
