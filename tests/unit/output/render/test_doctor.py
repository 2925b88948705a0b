"""What the doctor found, as a person reads it."""

from __future__ import annotations

import io

from nix_repro.doctor.model import note, ok, problem
from nix_repro.output.render.doctor import print_findings


def test_problems_come_first_each_with_what_to_do() -> None:
    stream = io.StringIO()
    findings = [
        ok("nix", "Nix 2.26"),
        note("sandbox", "relaxed", "set it to true"),
        problem("disk", "full\x1b[2J", "free some"),
        ok("git", "clean"),
    ]
    print_findings(findings, stream)
    lines = stream.getvalue().splitlines()
    assert [line[:1] for line in lines] == ["✗", " ", "!", " ", "✓", "✓", "", "1"]
    assert lines[1:5] == ["    free some", "! sandbox: relaxed", "    set it to true", "✓ nix: Nix 2.26"]
    assert lines[-1] == "1 problem, 1 note, 2 in order"
    assert "\x1b" not in stream.getvalue()
