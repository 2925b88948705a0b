"""The order of rooms: data flows one way, so imports do too: none from above, and none in a circle."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "src" / "nix_repro"
#: From the bottom to the top. A module may import from its own room and from those before it.
ROOMS: tuple[tuple[str, ...], ...] = (
    ("errors", "text", "files", "reasons", "parts", "report", "observations"),
    ("nix",),
    ("plan",),
    ("build",),
    ("verdict",),
    ("ledger",),
    ("metrics",),
    ("explain",),
    ("doctor",),
    ("output",),
    ("settings", "config"),
    ("run", "assemble"),
    ("stages",),
    ("check",),
    ("cli",),
)
FLOOR = {room: floor for floor, rooms in enumerate(ROOMS) for room in rooms}
#: Modules in the package's own folder, and lines of one module: more than that wants a room, or two files.
FILES, LINES, FUNCTION = 14, 330, 55


def modules() -> dict[str, ast.Module]:
    """Every module of the package by its dotted name below it, parsed, but for its `__init__` and `__main__`."""
    found: dict[str, ast.Module] = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        name = ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
        if not name.startswith("__"):
            found[name.removesuffix(".__init__")] = ast.parse(path.read_text("utf-8"))
    return found


MODULES = modules()


def imported(tree: ast.AST) -> Iterator[str]:
    """What a module imports of the package, late imports and those for types included."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "nix_repro":
            inside = (node.module or "").removeprefix("nix_repro").removeprefix(".")
            for alias in node.names:
                whole = f"{inside}.{alias.name}".removeprefix(".")
                yield whole if whole in MODULES else inside
        elif isinstance(node, ast.Import):
            yield from (
                alias.name.removeprefix("nix_repro.") for alias in node.names if alias.name.startswith("nix_repro.")
            )


def test_every_module_has_a_room() -> None:
    assert {name.partition(".")[0] for name in MODULES} == set(FLOOR)


@pytest.mark.parametrize("name", sorted(MODULES))
def test_nothing_is_imported_from_above(name: str) -> None:
    own = FLOOR[name.partition(".")[0]]
    above = [other for other in imported(MODULES[name]) if other and FLOOR[other.partition(".")[0]] > own]
    assert not above


def test_nothing_goes_in_a_circle() -> None:
    """Late imports count too: they do no harm when modules are loaded, but are arrows all the same."""
    arrows = {name: set(imported(tree)) & MODULES.keys() - {name} for name, tree in MODULES.items()}
    done: set[str] = set()
    while ready := {name for name, below in arrows.items() if name not in done and below <= done}:
        done |= ready
    assert set(arrows) - done == set(), "these import each other"


def test_the_way_in_stays_short() -> None:
    assert len(list(PACKAGE.glob("*.py"))) <= FILES


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_module_and_no_function_is_too_long(path: Path) -> None:
    text = path.read_text("utf-8")
    assert text.count("\n") <= LINES
    functions = [n for n in ast.walk(ast.parse(text)) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
    assert not [f.name for f in functions if (f.end_lineno or 0) - f.lineno + 1 > FUNCTION]


def rooms() -> list[Path]:
    """Every folder with modules."""
    return sorted({path.parent for path in PACKAGE.rglob("*.py")} - {PACKAGE})


@pytest.mark.parametrize("room", rooms(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_every_room_says_what_belongs_there(room: Path) -> None:
    assert ast.get_docstring(ast.parse((room / "__init__.py").read_text("utf-8")))


def types(tree: ast.Module) -> Iterator[str]:
    """The classes of a module, and its names for other types."""
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Assign):
            yield from (t.id for t in node.targets if isinstance(t, ast.Name) and t.id[:1].isupper() > t.id.isupper())


def test_no_two_types_have_the_same_name() -> None:
    """A name means one thing, in whatever room it is read."""
    found = Counter(name for tree in MODULES.values() for name in types(tree))
    assert [name for name, times in found.items() if times > 1] == []


@pytest.mark.parametrize("name", sorted(MODULES))
def test_constants_are_one_a_line(name: str) -> None:
    """Where each says what it counts."""
    assigned = (target for node in MODULES[name].body if isinstance(node, ast.Assign) for target in node.targets)
    assert not [ast.unparse(target) for target in assigned if isinstance(target, ast.Tuple)]
