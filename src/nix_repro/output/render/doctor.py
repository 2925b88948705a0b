"""What the doctor found, problems first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TextIO

from rich.text import Text

from nix_repro.doctor.model import Diagnosis, State
from nix_repro.output.render.escape import visible
from nix_repro.output.render.lines import wrap
from nix_repro.output.render.screen import Screen
from nix_repro.text import plural

_ORDER: tuple[State, ...] = ("problem", "note", "ok")
_SIGN: dict[State, tuple[str, str]] = {"problem": ("✗", "bold red"), "note": ("!", "yellow"), "ok": ("✓", "green")}


def print_findings(
    findings: Sequence[Diagnosis], stream: TextIO | None = None, environ: Mapping[str, str] | None = None
) -> None:
    """What each check found, its remedy below it, and the count at the end."""
    out = Screen(stream, environ)
    for finding in sorted(findings, key=lambda finding: _ORDER.index(finding.state)):
        sign, style = _SIGN[finding.state]
        first, *more = wrap(f"{sign} {finding.check}: {visible(finding.found)}", out.width, 0, 2)
        text = Text(first)
        text.stylize(style, 0, 1)
        text.stylize("bold", 2, 3 + len(finding.check))
        out.line(text)
        for line in more:
            out.line(line)
        if finding.fix is not None:
            # A remedy is often a command: it stays in one piece.
            out.line(f"    {visible(finding.fix)}", "dim")
    counts = {state: sum(finding.state == state for finding in findings) for state in _ORDER}
    out.line()
    out.say(f"{plural(counts['problem'], 'problem')}, {plural(counts['note'], 'note')}, {counts['ok']} in order")
