"""docs/explaining.md says what the code does."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import get_args

from nix_repro import archive, deep_diffs, explaining
from nix_repro.config import Config
from nix_repro.explain import Budget, deep
from nix_repro.explain.experiments import CHANCE, FEW, MANY, REBUILDS
from nix_repro.laboratory import LATER, PATIENCE
from nix_repro.report import Cause

ROOT = Path(__file__).parents[3]
TEXT = " ".join((ROOT / "docs/explaining.md").read_text().split())


def test_the_table_of_causes_is_the_codes() -> None:
    spec = importlib.util.spec_from_file_location("causes_table", ROOT / "tools/causes_table.py")
    assert spec is not None
    assert spec.loader is not None
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    assert tool.main(["--check"]) == 0, "run tools/causes_table.py"
    assert re.findall(r"^\| `([a-z-]+)` \|", tool.table(), re.MULTILINE) == list(get_args(Cause))


def test_the_numbers_are_the_codes() -> None:
    budget = Budget()
    for said in (
        f"{FEW} equal rebuilds prove the hold",
        f"at least {MANY} are needed",
        f"less than {CHANCE:.0%}".replace("%", " %"),
        f"the clock {LATER} days ahead",
        f"{Config().explain_budget // 60} minutes (`--explain-budget`) and {REBUILDS} rebuilds",
        f"up to {archive.LIMIT >> 20} MiB",
        f"{deep.SECONDS} s and {deep.MEMORY >> 30} GiB of memory for one output, {deep_diffs.TOTAL:.0f} s for all",
        f"and writes {deep.OUTPUT >> 20} MiB",
        f"at most {budget.seconds:.0f} s, {budget.differences} differences, {budget.entries:,} entries",
        f"{budget.unpacked >> 30} GiB of unpacked members, each at most {budget.member >> 20} MiB",
        f"all comparisons of a run {explaining.TOTAL:.0f} s",
    ):
        assert said in TEXT, said
    assert (PATIENCE, budget.nesting) == ((60, 10), 8), "a minute and ten times; eight levels"
