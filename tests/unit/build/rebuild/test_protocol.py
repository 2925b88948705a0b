"""What a rebuilder can do is asked of it, never read off which one it is."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[4] / "src" / "nix_repro"
FOLDER = PACKAGE / "build" / "rebuild"
REBUILDERS = {"nix_check", "replace", "shadow", "store"}


@pytest.mark.parametrize(
    "path",
    [path for path in sorted(PACKAGE.rglob("*.py")) if FOLDER not in path.parents],
    ids=lambda path: str(path.relative_to(PACKAGE)),
)
def test_nobody_outside_asks_which_rebuilder_it_is(path: Path) -> None:
    tree = ast.parse(path.read_text("utf-8"))
    imported = {n.module: [a.name for a in n.names] for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
    classes = {"NixCheck", "Replace", "Shadow", "Store"}
    assert not [
        name
        for module, names in imported.items()
        if (module or "").removeprefix("nix_repro.build.rebuild.") in REBUILDERS
        for name in names
        if name in classes
    ]
