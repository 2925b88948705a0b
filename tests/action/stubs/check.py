"""Stands in for nix_repro/check.py where a test asks only where results go: the report is a file, of the commit that is
checked out, and what the run would compare it with is recorded."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec

from nix_repro.assemble import finish
from nix_repro.nix.checkout import read_checkout
from nix_repro.report import Report


def check(config: Any, processes: Any, environ: Any, cwd: Path, display: Any, keep: Any) -> Report:
    record = Path(os.environ["STUB_RECORD"])
    report = msgspec.json.decode((record / "canned.json").read_bytes(), type=Report)
    report = msgspec.structs.replace(report, commit=read_checkout(cwd).commit)
    with (record / "bases").open("a") as file:
        file.write(f"{report.commit} {config.base}\n")
    found: Report = keep(finish(report, config, environ, cwd, display.warn), {})
    return found
