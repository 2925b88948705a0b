"""What the doctor found, problems first."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TextIO

from rich.console import Console
from rich.text import Text

from nix_repro.doctor.model import Diagnosis, State
from nix_repro.output.render.escape import visible
from nix_repro.text import plural

_ORDER: tuple[State, ...] = ("problem", "note", "ok")
_SIGN: dict[State, tuple[str, str]] = {"problem": ("✗", "bold red"), "note": ("!", "yellow"), "ok": ("✓", "green")}


def print_findings(findings: Sequence[Diagnosis], stream: TextIO | None = None) -> None:
    """One line a check, its remedy below it, and the count at the end."""
    console = Console(file=stream or sys.stdout, highlight=False)
    for finding in sorted(findings, key=lambda finding: _ORDER.index(finding.state)):
        sign, style = _SIGN[finding.state]
        console.print(
            Text.assemble((f"{sign} ", style), (f"{finding.check}: ", "bold"), visible(finding.found)), soft_wrap=True
        )
        if finding.fix is not None:
            console.print(Text(f"    {visible(finding.fix)}", style="dim"), soft_wrap=True)
    counts = {state: sum(finding.state == state for finding in findings) for state in _ORDER}
    console.print(
        f"\n{plural(counts['problem'], 'problem')}, {plural(counts['note'], 'note')}, {counts['ok']} in order"
    )
