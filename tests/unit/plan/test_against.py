"""A plan compared with a base: in full where the base's derivations are here, by name where they are not."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from pytest_mock import MockerFixture

from nix_repro.nix.command import Nix
from nix_repro.nix.derivation import Derivation, DrvOutput
from nix_repro.plan.against import against
from nix_repro.plan.base import Base
from nix_repro.plan.scope import Plan
from nix_repro.reasons import UPSTREAM


def derivation(path: Path, source: Path) -> Derivation:
    path.touch()
    outputs = {"out": DrvOutput(f"/nix/store/out-of-{path.name}")}
    return Derivation(str(path), "app", "x", "/bin/sh", (), {}, outputs, {}, (str(source),))


def test_the_files_of_a_changed_source_are_named(tmp_path: Path, mocker: MockerFixture) -> None:
    sources = [tmp_path / ("0" * 32 + "-src"), tmp_path / ("1" * 32 + "-src")]
    for number, source in enumerate(sources):
        source.mkdir()
        (source / "main.c").write_text(str(number))
        (source / "same.c").write_text("same")
    old, new = (
        derivation(tmp_path / f"{char * 32}-app.drv", source) for char, source in zip("ab", sources, strict=True)
    )
    known = {drv.drv_path: drv for drv in (old, new)}
    nix = mocker.create_autospec(Nix, instance=True)

    def show(paths: Iterable[str]) -> dict[str, Derivation]:
        return {path: known[path] for path in paths}

    nix.derivations.side_effect = show
    plan = Plan({"packages.x.app": new.drv_path}, {new.drv_path: new}, (new.drv_path,), {})
    base = Base("main", {"packages.x.app": old.drv_path}, frozenset({old.drv_path}))
    found = against(nix, plan, base)
    assert found.comparison.pairs == {new.drv_path: old.drv_path}
    assert list(found.files.values()) == [["main.c"]]
    assert found.compared == {new.drv_path}
    assert found.known == {old.drv_path}


def test_a_base_that_is_not_in_this_store_is_compared_by_name(mocker: MockerFixture) -> None:
    new, mine = f"/nix/store/{'b' * 32}-app.drv", f"/nix/store/{'c' * 32}-libc.drv"
    old = f"/nix/store/{'a' * 32}-app.drv"
    app = Derivation(new, "app", "x", "/bin/sh", (), {}, {}, {mine: ("out",)}, ())
    libc = Derivation(mine, "libc", "x", "/bin/sh", (), {}, {}, {}, ())
    plan = Plan({"packages.x.app": new}, {new: app, mine: libc}, (new,), {mine: UPSTREAM})
    nix = mocker.create_autospec(Nix, instance=True)
    found = against(nix, plan, Base("a report", {"packages.x.app": old}, frozenset({old})))
    assert found.comparison.pairs == {new: old}, "what upstream has is nobody's change"
    assert found.files == {}
    nix.derivations.assert_not_called()
