"""docs/explaining.md says what the code does."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

from nix_repro.build.variations import LATER
from nix_repro.config import Config
from nix_repro.explain import roots
from nix_repro.explain.budget import Budget
from nix_repro.explain.experiments.inquiry import CHANCE, FEW, MANY, REBUILDS
from nix_repro.explain.experiments.laboratory import PATIENCE, TIMES_SLOWER
from nix_repro.output import archive, diffoscope
from nix_repro.report import Cause
from tools import tool

ROOT = Path(__file__).parents[2]
TEXT = " ".join((ROOT / "docs/explaining.md").read_text().split())


def test_the_table_of_causes_is_the_codes() -> None:
    causes_table = tool("causes_table")
    assert causes_table.main(["--check"]) == 0, "run tools/causes_table.py"
    assert re.findall(r"^\| `([a-z-]+)` \|", causes_table.table(), re.MULTILINE) == list(get_args(Cause))


def test_the_numbers_are_the_codes() -> None:
    budget = Budget()
    for said in (
        f"{FEW} equal rebuilds prove the hold",
        f"at least {MANY} are needed",
        f"less than {CHANCE:.0%}".replace("%", " %"),
        f"the clock {LATER} days ahead",
        f"{Config().explain_budget // 60} minutes (`--explain-budget`) and {REBUILDS} rebuilds",
        f"up to {archive.LIMIT >> 20} MiB",
        (
            f"{diffoscope.SECONDS} s and {diffoscope.MEMORY >> 30} GiB of memory for one output, "
            f"{diffoscope.TOTAL:.0f} s "
            "for all"
        ),
        f"and writes {diffoscope.OUTPUT >> 20} MiB",
        f"at most {budget.seconds:.0f} s, {budget.differences} differences, {budget.entries:,} entries",
        f"{budget.unpacked >> 30} GiB of unpacked members, each at most {budget.member >> 20} MiB",
        f"all comparisons of a run {roots.TOTAL:.0f} s",
    ):
        assert said in TEXT, said
    assert (PATIENCE, TIMES_SLOWER, budget.nesting) == (60, 10, 8), "a minute and ten times; eight levels"
