"""Nix programs that write down when they ran, so that a bench can take their time out of what it measured."""

from __future__ import annotations

import shutil
from pathlib import Path

from nix_repro.nix.log.intervals import covered

_SHIM = """#!/bin/bash
began=$EPOCHREALTIME
{real} "$@"
code=$?
echo "$began $EPOCHREALTIME {name} $1 $2 $3" >> {log}
exit $code
"""


def watch(directory: Path, log: Path) -> Path:
    """Makes `directory`, to be put before everything else on PATH. `log` gets a line for every run."""
    directory.mkdir()
    for program in ("nix", "nix-store", "nix-instantiate"):
        shim = directory / program
        shim.write_text(_SHIM.format(real=shutil.which(program), log=log, name=program))
        shim.chmod(0o755)
    return directory


def read_runs(log: Path) -> tuple[int, float]:
    """How many runs `log` holds, and the seconds in which at least one was going on."""
    rows = [row.split(" ", 2) for row in log.read_text().splitlines()]
    return len(rows), covered((float(began), float(ended)) for began, ended, _ in rows)
