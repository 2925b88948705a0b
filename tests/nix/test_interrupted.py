"""Ctrl-C where no Nix is at work."""

from __future__ import annotations

import json
import os
import signal
from typing import TYPE_CHECKING

from command import COMMAND, write_flake

if TYPE_CHECKING:
    from store import NixBox

#: Millions of differing bytes take a while to explain.
PACKAGES = """
  large = mk "large" "mkdir $out; for i in 1 2 3 4 5 6 7 8 9; do for j in 1 2 3 4 5 6 7 8 9; do
    head -c 300000 /dev/urandom > $out/$i$j; done; done" {};
"""


def test_while_a_difference_is_explained(sandbox_nix: NixBox) -> None:
    flake = write_flake(sandbox_nix, PACKAGES)
    with sandbox_nix.popen([*COMMAND, "check", ".#large", "--report-json", "report.json"], cwd=flake) as run:
        assert run.stderr is not None
        for line in run.stderr:
            if "explaining" in line:
                os.kill(run.pid, signal.SIGINT)
    assert run.returncode == 130
    report = json.loads((flake / "report.json").read_text())
    assert [(d["verdict"], report["exit_code"]) for d in report["derivations"]] == [("divergent", 130)]
