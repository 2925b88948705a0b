"""What is for another system is refused before anything is built, unless somebody else can build it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from graphs import plain
from nix_repro.errors import UsageError
from nix_repro.plan.scope import Plan
from nix_repro.plan.systems import refuse_other_systems, systems

HERE = {"system": "x86_64-linux", "extra-platforms": ["i686-linux"], "builders": "@/nonexistent/machines"}


def plan_for(system: str) -> Plan:
    drv = plain("a", system=system)
    return Plan({"packages.a": drv.drv_path}, {drv.drv_path: drv}, (drv.drv_path,), {})


@pytest.mark.parametrize("system", ["x86_64-linux", "i686-linux", "builtin"])
def test_what_this_machine_builds_is_not_refused(system: str) -> None:
    assert system in systems(HERE)
    refuse_other_systems(plan_for(system), HERE)


def test_another_system_is_refused_by_the_name_of_the_installable() -> None:
    with pytest.raises(UsageError, match=r"packages\.a: it is for riscv64-linux, and this machine builds for x86_64"):
        refuse_other_systems(plan_for("riscv64-linux"), HERE)


@pytest.mark.parametrize("builders", ["ssh://host riscv64-linux", "@{file}"])
def test_builders_may_have_any_system(tmp_path: Path, builders: str) -> None:
    (tmp_path / "machines").touch()
    settings: dict[str, Any] = {**HERE, "builders": builders.format(file=tmp_path / "machines")}
    refuse_other_systems(plan_for("riscv64-linux"), settings)
